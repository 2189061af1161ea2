"""`kernel-stub log`: the signed event log's head, its export, and whether it holds."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import anyio

from kernel_stub.cli.arguments import Parser, Subcommands, command, opened
from kernel_stub.cli.printing import say, say_bytes
from kernel_stub.log.pages import PageReader, pages, replay_all, verify_all

#: The longest line that is read from a file: far above the largest event, and not a whole wrong file.
_MAX_LINE_BYTES: Final = 1_048_576


def add_commands(subcommands: Subcommands) -> None:
    """Add this area's commands."""
    area: Parser = subcommands.add_parser("log", help="the signed event log")
    area_commands = area.add_subparsers(metavar="COMMAND", required=True)
    command(area_commands, "head", _head, "the number of the last event")
    replay = command(area_commands, "replay", _replay, "rebuild every task from its events")
    replay.add_argument("file", type=Path, nargs="?", metavar="FILE", help="an exported log instead of the node's own")
    verify = command(area_commands, "verify", _verify, "recompute every hash and signature")
    verify.add_argument("file", type=Path, nargs="?", metavar="FILE", help="an exported log instead of the node's own")
    command(area_commands, "export", _export, "print the events, one a line")


async def _head(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        say(str(await kernel.log_head()))
    return 0


async def _replay(arguments: argparse.Namespace) -> int:
    if arguments.file is not None:
        with arguments.file.open("rb") as file:
            await replay_all(_lines(file))
    else:
        async with opened(arguments) as kernel:
            await kernel.replay_log()
    say("replayed")
    return 0


async def _verify(arguments: argparse.Namespace) -> int:
    if arguments.file is not None:
        with arguments.file.open("rb") as file:
            await verify_all(_lines(file))
    else:
        async with opened(arguments) as kernel:
            await kernel.verify_log()
    say("verified")
    return 0


async def _export(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        async for page in pages(kernel.store.log.page):
            say_bytes(*(body for _, body in page))
    return 0


def _lines(file: BinaryIO) -> PageReader:
    """The lines of a file as a log: an event's number is that of its line."""

    def read(after: int, limit: int) -> list[tuple[int, bytes]]:
        lines = islice(iter(lambda: file.readline(_MAX_LINE_BYTES), b""), limit)
        return [(after + n, line.strip()) for n, line in enumerate(lines, 1)]

    async def page(after: int, limit: int) -> list[tuple[int, bytes]]:
        return await anyio.to_thread.run_sync(read, after, limit)

    return page
