"""Tests of kernel_stub.api."""
