"""The checks, one file an area; each proves the requirement that its mark names."""
