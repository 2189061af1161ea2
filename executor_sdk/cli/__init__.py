"""The program `executor`: its commands, those that other packages add, and its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import entry_points
from typing import Final, cast

from executor_sdk.cli import call, conformance, describe, dev, doctor, replay, serve
from executor_sdk.cli.command import CommandError, CommandParser, Commands, Exit, tell
from executor_sdk.cli.version import ShowVersion

#: Other packages name a function here that takes the subparsers and adds a command, as `add` of each of ours does.
GROUP: Final = "executor_sdk.commands"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; its exit code: 0 good, 1 judged bad, 2 usage, 3 unreachable."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    given = parser(as_json=as_json).parse_args(arguments)
    try:
        return int(given.run(given))
    except CommandError as error:
        tell(error.code, str(error), as_json=as_json)
        return int(error.code)
    except BrokenPipeError:
        # The reader of our output has seen enough; the interpreter must not complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.GOOD)
    except KeyboardInterrupt:
        return 130


def parser(*, as_json: bool = False) -> CommandParser:
    """The parser of all commands; `as_json` if the command line asks for JSON."""
    whole = CommandParser(
        as_json=as_json,
        prog="executor",
        description="Serve, describe, call and test executors. APP is module:attribute of an ASGI application "
        "(the attribute `executor` where none is named), URL is the address of one that runs.",
        epilog="exit codes: 0 good, 1 the executor was judged bad, 2 the command cannot be carried out, 3 no answer. "
        "With --json each command prints one JSON document to standard output (`serve` one a line), an error as "
        '{"error": {"code", "message"}}. example: executor describe my_package.app:executor',
    )
    whole.add_argument("--version", action=ShowVersion, help="show the versions of the kit and of Python")
    # argparse calls what it names a class, and asks it for nothing else.
    kind = cast("type[CommandParser]", partial(CommandParser, as_json=as_json))
    commands = cast("Commands", whole.add_subparsers(metavar="COMMAND", required=True, parser_class=kind))
    for add in (serve.add, dev.add, describe.add, call.add, conformance.add, doctor.add, replay.add):
        add(commands)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        entry.load()(commands)
    return whole
