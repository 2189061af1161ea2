"""Tests of the SQLite room."""
