"""Tests of how candidates, verdicts and contracts are judged."""
