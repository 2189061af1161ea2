"""Tests of sample inputs, and of loading an application by its name."""
