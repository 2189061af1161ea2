"""Tests of kernel_stub.store."""
