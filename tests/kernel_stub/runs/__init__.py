"""Tests of kernel_stub.runs."""
