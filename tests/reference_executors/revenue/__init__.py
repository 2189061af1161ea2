"""The pure functions of the analyst."""
