"""A kernel for tests: whole, in process, without sockets."""
