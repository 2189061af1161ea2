"""The program `executor`: its commands, those that other packages add, and its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final

from executor_sdk.cli import call, conformance, describe, dev, serve
from executor_sdk.cli.command import CommandError, Commands, Exit

#: Other packages name a function here that takes the subparsers and adds a command, as `add` of each of ours does.
GROUP: Final = "executor_sdk.commands"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; its exit code: 0 good, 1 judged bad, 2 usage, 3 unreachable."""
    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except CommandError as error:
        print(f"Error: {error}", file=sys.stderr)
        return int(error.code)
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.GOOD)
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    whole = argparse.ArgumentParser(
        prog="executor",
        description="Serve, describe, call and test executors. APP is module:attribute of an ASGI application "
        "(the attribute `executor` where none is named), URL is the address of one that runs.",
    )
    commands: Commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for add in (serve.add, dev.add, describe.add, call.add, conformance.add):
        add(commands)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        entry.load()(commands)
    return whole
