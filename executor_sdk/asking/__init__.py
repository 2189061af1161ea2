"""Asking an executor something: sample inputs where none are given, and an application by its name."""
