"""Calling out: the client that speaks to executors, and the guard on what may be fetched."""
