"""Tests of kernel_stub.cli."""
