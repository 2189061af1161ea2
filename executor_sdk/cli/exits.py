"""How a command ends: its exit code, and the errors that decide it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command."""

    GOOD = 0
    JUDGED_BAD = 1  # the executor answered, and the answer is a refusal, a bad verdict, or does not conform
    USAGE = 2  # the command cannot be carried out as it was written
    UNREACHABLE = 3  # no answer came


class CommandError(Exception):
    """A command ends here; the message goes to standard error."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
