"""Tests of what an author touches."""
