"""Tests of calling out."""
