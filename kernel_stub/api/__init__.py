"""The kernel's HTTP API, one file for runs, one for executors, one for the node."""
