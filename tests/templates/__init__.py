"""Tests of the project templates: bake, install, run what was baked."""
