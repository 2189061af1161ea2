"""Tests of kernel_stub.testing."""
