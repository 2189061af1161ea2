"""Executors to learn from: each teaches one lesson and imports nothing of the kit but its face."""
