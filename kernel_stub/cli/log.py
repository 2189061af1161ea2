"""`kernel-stub log`: the signed event log's head, its export, and whether it holds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import orjson

from kernel_stub.cli.arguments import Parser, Subcommands, UsageRefusedError, command, opened, settings_of
from kernel_stub.cli.printing import note, say, say_bytes
from kernel_stub.log.chain import Entry, TaskRow
from kernel_stub.log.exported import Exported, chain_line, head_line
from kernel_stub.log.head import Head, head_document, read_head
from kernel_stub.log.identity import is_key, trusted_for_a_file
from kernel_stub.log.replay import Replay
from kernel_stub.log.walk import PAGE_EVENTS, Follower, Walk

_FROM: Final = (
    "a head that `log head` printed earlier and that was kept elsewhere, as a file or as text: the only check that "
    "finds a whole log rolled back"
)


def add_commands(subcommands: Subcommands) -> None:
    """Add this area's commands."""
    area: Parser = subcommands.add_parser("log", help="the signed event log")
    area_commands = area.add_subparsers(metavar="COMMAND", required=True)
    command(area_commands, "head", _head, "the number of the last task event, and the signed head: keep it elsewhere")
    replay = command(
        area_commands, "replay", _replay, "verify, rebuild every task, aggregate every run again, compare the tables"
    )
    verify = command(area_commands, "verify", _verify, "recompute every hash, signature and link of the chain")
    for parser in (replay, verify):
        parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="an exported log instead of the node's")
        parser.add_argument("--chain", type=Path, metavar="FILE", help="the chain that was exported with it")
        parser.add_argument("--from", dest="kept", metavar="HEAD", help=_FROM)
        trust = "trust this node id too; as often as needed"
        parser.add_argument(
            "--trust", dest="trusted_keys", type=_key, action="append", default=[], metavar="KEY", help=trust
        )
    export = command(area_commands, "export", _export, "print the task events, one a line, in the kernel's own bytes")
    export.add_argument("--chain", type=Path, metavar="FILE", help="and write their chain, with the run events, there")


async def _head(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        head = await kernel.audit.head()
    say(str(head.events))
    say(orjson.dumps(head_document(head)).decode())
    return 0


async def _replay(arguments: argparse.Namespace) -> int:
    kept = _kept(arguments)
    if arguments.file is not None:
        await _check_file(arguments, kept, Replay().take)
    else:
        async with opened(arguments) as kernel:
            await kernel.audit.replay(kept)
    say("replayed")
    return 0


async def _verify(arguments: argparse.Namespace) -> int:
    kept = _kept(arguments)
    if arguments.file is not None:
        head = await _check_file(arguments, kept)
    else:
        async with opened(arguments) as kernel:
            head = await kernel.audit.verify(kept)
    if head is not None and head.adopted:
        note(f"entries 1 to {head.adopted} are older than the chain: they were chained as they stood")
    say("verified")
    return 0


async def _export(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        head = await kernel.audit.head()
        with ExitStack() as stack:
            chain = None if arguments.chain is None else stack.enter_context(arguments.chain.open("wb"))
            if chain is not None:
                chain.write(head_line(head) + b"\n")
            after = 0
            while after < head.entries:
                page = await kernel.audit.log.entries(after, min(PAGE_EVENTS, head.entries - after))
                if not page:
                    break
                say_bytes(*_bodies(page))
                if chain is not None:
                    chain.writelines(chain_line(entry) + b"\n" for entry in page)
                after = page[-1].entry
    return 0


async def _check_file(
    arguments: argparse.Namespace, kept: Head | None, follower: Follower | None = None
) -> Head | None:
    """Hold an exported log against the node's key, or those that were named; never against the key that it names."""
    if kept is not None and arguments.chain is None:
        raise UsageRefusedError("--from needs the chain of the exported log: give it with --chain FILE")
    with _exported(arguments) as exported:
        trusted = trusted_for_a_file(settings_of(arguments).seed_path, arguments.trusted_keys)
        walk = Walk(trusted, head=exported.head, kept=kept)
        await walk.along(exported.page, follower)
        walk.finish(exported.stray())
    if exported.head is None:
        note("without its chain (--chain FILE) nobody can tell whether events were left out or doubled")
    return exported.head


@contextmanager
def _exported(arguments: argparse.Namespace) -> Iterator[Exported]:
    with ExitStack() as stack:
        events = stack.enter_context(arguments.file.open("rb"))
        chain = None if arguments.chain is None else stack.enter_context(arguments.chain.open("rb"))
        yield Exported(events, chain)


def _kept(arguments: argparse.Namespace) -> Head | None:
    """The head that was kept elsewhere; text where it is no file's name."""
    text: str | None = arguments.kept
    if arguments.chain is not None and arguments.file is None:
        raise UsageRefusedError("--chain belongs to an exported FILE: name that too")
    if text is None:
        return None
    return read_head(text.encode() if "{" in text else Path(text).read_bytes())


def _bodies(page: list[Entry]) -> Iterator[bytes]:
    return (entry.event.body for entry in page if isinstance(entry.event, TaskRow))


def _key(text: str) -> str:
    if not is_key(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a node id: 64 lower-case hex digits")
    return text
