"""Tests of the kernel of `executor dev`."""
