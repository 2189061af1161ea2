"""Tests of the aggregation."""
