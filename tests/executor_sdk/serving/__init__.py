"""Tests of serving, mirrored from its files."""
