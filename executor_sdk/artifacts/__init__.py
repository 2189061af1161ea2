"""Content-addressed files: one store of artifacts, named by their digest, for executors and kernels alike."""
