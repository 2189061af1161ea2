"""The reference executors: what they compute, what they answer, and that they conform."""
