"""The entry point: reads the arguments, runs the command, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import anyio

from kernel_stub.cli import log, node, runs, serve
from kernel_stub.cli.arguments import Parser
from kernel_stub.cli.printing import note
from kernel_stub.errors import KernelError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 done, 1 refused or ended badly, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = anyio.run(arguments.command, arguments, backend_options=_loop_options(arguments))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - raised again if it is not for a person
        _tell(_first(error))
        return 1
    return code


def _loop_options(arguments: argparse.Namespace) -> dict[str, bool]:
    """uvloop for what serves or works, where it is installed; a command that ends at once is quicker without."""
    lasting = hasattr(arguments, "worker_id")
    return {"use_uvloop": lasting and find_spec("uvloop") is not None}


def _first(error: Exception) -> Exception:
    """The error itself; of a group, the first that went wrong."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _tell(error: Exception) -> None:
    """One line for what a person can mend; anything else is a fault of ours, and is raised."""
    match error:
        case KernelError():
            note(f"Error: {error.sentence}")
            for field in error.details if isinstance(error.details, list) else ():
                note(f"  {field['path']}: {field['message']}")
        case BrokenPipeError():
            # The reader of our output has left; nothing may be flushed to it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        case OSError():
            note(f"Error: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        case _:
            raise error


def _parser() -> Parser:
    parser = Parser(prog="kernel-stub", description="A small coordination kernel: runs agents on executors.")
    parser.add_argument("--state-dir", type=Path, default=Path(".kernel-stub"), metavar="DIR", help="(.kernel-stub)")
    parser.add_argument("--store", metavar="NAME", help="file name of the store inside the state directory")
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for area in (node, runs, log, serve):
        area.add_commands(subcommands)
    return parser
