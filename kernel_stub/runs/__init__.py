"""The shells around runs: commands, the worker, and an attempt at a step from claim to settlement."""
