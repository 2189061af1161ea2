"""The tests: they mirror the source, folder for folder."""
