"""Tests of kernel_stub.fleet."""
