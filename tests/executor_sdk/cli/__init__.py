"""Tests of the command line, mirrored from its files."""
