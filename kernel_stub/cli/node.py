"""A node and its executors: `kernel-stub node status`, `kernel-stub executors add`, `list` and `check`."""

from __future__ import annotations

import argparse

from kernel_stub.cli.arguments import Parser, Subcommands, command, opened
from kernel_stub.cli.printing import say, say_compact
from kernel_stub.fleet.entries import kind, line, valid_entry
from kernel_stub.rules.records import ExecutorEntry


def add_commands(subcommands: Subcommands) -> None:
    """Add this area's commands."""
    area: Parser = subcommands.add_parser("executors", help="the executors that this kernel knows")
    area_commands = area.add_subparsers(metavar="COMMAND", required=True)
    add = command(area_commands, "add", _add, "register an executor, or replace the one of this name")
    add.add_argument("name", metavar="NAME")
    add.add_argument("base_url", metavar="URL")
    add.add_argument("--remote", action="store_true", help="it lives on another node")
    add.add_argument("--target-node", metavar="ID", help="the node of a remote executor")
    add.add_argument("--scope", metavar="S", help="where a remote executor's tasks are announced")
    command(area_commands, "list", _list, "list them, by name")
    check = command(area_commands, "check", _check, "ask one for its health")
    check.add_argument("name", metavar="NAME")
    node: Parser = subcommands.add_parser("node", help="this node")
    node_commands = node.add_subparsers(metavar="COMMAND", required=True)
    command(node_commands, "status", _status, "its mode and versions")


async def _add(arguments: argparse.Namespace) -> int:
    entry = valid_entry(
        ExecutorEntry(
            arguments.name,
            arguments.base_url,
            remote=arguments.remote,
            target_node_id=arguments.target_node,
            scope_hint=arguments.scope,
        )
    )
    async with opened(arguments) as kernel:
        await kernel.registry.add(entry)
    say(f"executor added: {entry.name} ({kind(entry)})")
    return 0


async def _list(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        for entry in await kernel.registry.entries():
            say(line(entry))
    return 0


async def _check(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        await kernel.registry.check(arguments.name)
    say("ok")
    return 0


async def _status(arguments: argparse.Namespace) -> int:
    async with opened(arguments) as kernel:
        status = kernel.node_status(running=False)
    # The kernel's line names no node; who wants the id asks over HTTP, or reads an event.
    say_compact({name: value for name, value in status.items() if name != "node_id"})
    return 0
