"""Tests of kernel_stub.log."""
