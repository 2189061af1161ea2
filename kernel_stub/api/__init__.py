"""The kernel's HTTP API, one file an area."""
