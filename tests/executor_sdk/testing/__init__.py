"""Tests of what tests use."""
