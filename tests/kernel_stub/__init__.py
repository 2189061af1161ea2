"""Tests of kernel_stub."""
