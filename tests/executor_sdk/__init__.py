"""Tests of the executor development kit, file for file."""
