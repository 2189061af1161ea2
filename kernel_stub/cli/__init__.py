"""The command line `kernel-stub`, one file a command."""

from kernel_stub.cli.console import main

__all__ = ["main"]
