"""Tests of what runs and what has run."""
