"""Tests of the wire: bytes, digests, views, the bodies that a kernel sends."""
