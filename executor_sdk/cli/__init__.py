"""The command line `executor`, one file a command."""

from executor_sdk.cli.console import main

__all__ = ["main"]
