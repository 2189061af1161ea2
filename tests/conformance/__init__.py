"""Tests of the conformance suite: a good executor passes, each bad one fails its own requirement and no other."""
