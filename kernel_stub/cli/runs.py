"""`kernel-stub run`: submit runs, follow them, and work on them."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from executor_sdk.protocol import plain
from executor_sdk.protocol.canonical import sorted_copy
from executor_sdk.protocol.plain import Json
from kernel_stub.cli.arguments import Command, Parser, Subcommands, UsageRefusedError, command, natural, opened
from kernel_stub.cli.printing import follow, say, say_json
from kernel_stub.cli.worker import add_worker_options, work
from kernel_stub.errors import InvalidSpecError
from kernel_stub.runs.commands import RunCommands

#: Levels that a run specification may nest, as over HTTP.
_MAX_DEPTH: Final = 32

_PG_URL: Final = "--pg-url"


def add_commands(subcommands: Subcommands) -> None:
    """Add this area's commands."""
    area: Parser = subcommands.add_parser("run", help="runs: many agents, one final decision")
    area.add_argument(_PG_URL, metavar="URL", help="PostgreSQL instead of the embedded SQLite (not offered yet)")
    commands = area.add_subparsers(metavar="COMMAND", required=True)
    _command(commands, "init", _init, "create the run queue's tables")
    submit = _command(commands, "submit", _submit, "create a run from a JSON file")
    submit.add_argument("file", type=Path, metavar="FILE")
    submit.add_argument("--kickoff", action="store_true", help="and queue its steps")
    submit.add_argument("--wait", action="store_true", help="and wait for its end: exit code 0 only when FINALIZED")
    _of_run(commands, "kickoff", _told(RunCommands.kickoff, "kicked off"), "queue the steps of a run")
    watch = _of_run(commands, "watch", _watch, "where a run stands")
    watch.add_argument("--follow", action="store_true", help="show its events until it ends; exit code by outcome")
    _of_run(commands, "result", _result, "what a run came to")
    events = _of_run(commands, "events", _events, "the newest events of a run")
    events.add_argument("--limit", type=natural, default=50, metavar="N", help="how many (50)")
    _of_run(commands, "cancel", _told(RunCommands.cancel, "cancel requested"), "stop a run")
    _of_run(commands, "retry", _told(RunCommands.retry, "retry requested"), "queue the failed steps of a run again")
    _of_run(commands, "why", _why, "explain the outcome of a run")
    letters = _command(commands, "dead-letters", _dead_letters, "steps that can never succeed as they stand")
    letters.add_argument("--limit", type=natural, default=50, metavar="N", help="how many (50)")
    worker = _command(commands, "worker", work, "claim and do steps until stopped")
    add_worker_options(worker)
    worker.add_argument("--once", action="store_true", help="do what is due, then exit")


def _command(subcommands: Subcommands, name: str, run: Command, help_text: str) -> Parser:
    """A command of this area. Documents write `--pg-url` behind it, kernels take it before: both are understood."""

    async def on_sqlite(arguments: argparse.Namespace) -> int:
        if arguments.pg_url is not None:
            raise UsageRefusedError(
                f"{_PG_URL}: PostgreSQL is not offered yet; leave it out to use the embedded SQLite of --state-dir"
            )
        return await run(arguments)

    parser = command(subcommands, name, on_sqlite, help_text)
    parser.add_argument(_PG_URL, metavar="URL", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _of_run(subcommands: Subcommands, name: str, run: Command, help_text: str) -> Parser:
    parser = _command(subcommands, name, run, help_text)
    parser.add_argument("run_id", metavar="ID")
    return parser


async def _init(arguments: argparse.Namespace) -> int:
    async with opened(arguments):
        say("run queue schema initialized")
    return 0


async def _submit(arguments: argparse.Namespace) -> int:
    body = _read_spec(arguments.file)
    async with opened(arguments) as kernel:
        submitted = await kernel.runs.submit(body, kickoff=arguments.kickoff or arguments.wait)
        if not arguments.wait:
            say_json({"ok": True, **submitted}, sort_keys=True)
            return 0
        code = await follow(kernel.runs, submitted["run_id"])
        say_json(await kernel.runs.result(submitted["run_id"]), sort_keys=True)
        return code


async def _watch(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        code = await follow(kernel.runs, arguments.run_id) if arguments.follow else 0
        say_json(await kernel.runs.watch(arguments.run_id))
    return code


async def _result(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        say_json(await kernel.runs.result(arguments.run_id), sort_keys=True)
    return 0


async def _events(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        events = await kernel.runs.events(arguments.run_id, limit=arguments.limit)
    say_json([{**event, "payload": sorted_copy(event["payload"])} for event in events])
    return 0


def _told(tell: Callable[[RunCommands, str], Awaitable[None]], done: str) -> Command:
    """A command that tells a run something, and says that this was done."""

    async def run(arguments: argparse.Namespace) -> int:
        async with opened(arguments) as kernel:
            await tell(kernel.runs, arguments.run_id)
        say(f"{done} {arguments.run_id}")
        return 0

    return run


async def _why(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        for line in await kernel.runs.why(arguments.run_id):
            say(line)
    return 0


async def _dead_letters(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        say_json(await kernel.runs.dead_letters(limit=arguments.limit))
    return 0


def _read_spec(file: Path) -> Json:
    try:
        return plain.parse(file.read_bytes(), max_depth=_MAX_DEPTH)
    except plain.NotJsonError as error:
        raise InvalidSpecError(f"parse run submit spec from {file}: {error}") from None
