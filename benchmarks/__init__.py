"""Benchmarks: each prints ratios against a yardstick measured in the same run, and ends with one JSON line."""
