"""Tests of options as people write them."""
