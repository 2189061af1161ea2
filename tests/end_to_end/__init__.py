"""Kernel and executors together."""
