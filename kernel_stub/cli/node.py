"""`kernel-stub node`: who signs here."""

from __future__ import annotations

import argparse

from kernel_stub.cli.arguments import Parser, Subcommands, command
from kernel_stub.cli.opening import opened
from kernel_stub.cli.printing import say_compact


def add_commands(subcommands: Subcommands) -> None:
    """Add this area's commands."""
    area: Parser = subcommands.add_parser("node", help="this node")
    area_commands = area.add_subparsers(metavar="COMMAND", required=True)
    command(area_commands, "status", _status, "its mode and versions")


async def _status(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        status = kernel.node_status(running=False)
    # The kernel's line names no node; whoever wants the id asks over HTTP, or reads an event.
    say_compact({name: value for name, value in status.items() if name != "node_id"})
    return 0
