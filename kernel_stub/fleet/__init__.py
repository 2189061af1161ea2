"""The executors that this kernel knows."""
