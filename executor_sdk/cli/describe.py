"""`executor describe APP|URL`: what an executor offers; and `--settings`: the options that every executor has."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import anyio
from msgspec import to_builtins

from executor_sdk.cli import settings_table
from executor_sdk.cli.applications import reached
from executor_sdk.cli.command import CommandError, Commands, Exit, add_command, add_timeout, asking, pretty
from executor_sdk.cli.terminal import show, show_table
from executor_sdk.protocol.plain import Json


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "describe",
        run,
        help="show what an executor offers",
        example="executor describe http://127.0.0.1:8080 --json",
    )
    parser.add_argument("address", nargs="?", metavar="APP|URL", help="module:attribute, or http://…")
    parser.add_argument("--settings", action="store_true", help="show the options of every executor instead")
    parser.add_argument("--markdown", action="store_true", help="those options as the page docs/settings.md")
    add_timeout(parser)


def run(given: argparse.Namespace) -> int:
    """Print `/capabilities`, and whether `/health` is 2xx; or the options, which need no executor."""
    if given.markdown and not given.settings:
        raise CommandError(Exit.USAGE, "--markdown belongs to --settings")
    if given.settings:
        if given.address:
            raise CommandError(Exit.USAGE, "--settings shows the options of every executor; leave APP or URL out")
        _print_settings(given)
        return Exit.GOOD
    if not given.address:
        raise CommandError(Exit.USAGE, "name what is to be described: APP or URL; or say --settings")
    with reached(given.address) as base_url:
        document = anyio.run(_asked, base_url, given.timeout)
    if given.json:
        print(pretty(document))
    else:
        _print(document)
    return Exit.GOOD if document["healthy"] else Exit.JUDGED_BAD


def _print_settings(given: argparse.Namespace) -> None:
    table = settings_table.rows()
    if given.json:
        print(pretty([to_builtins(row) for row in table]))
    elif given.markdown:
        print(settings_table.markdown(table), end="")
    else:
        print("\n".join(settings_table.lines(table)))


async def _asked(base_url: str, timeout_s: float) -> dict[str, Json]:
    async with asking(base_url, timeout_s) as client:
        capabilities = await client.describe()
        health = await client.send("GET", "/health")
        return {"url": client.base_url, "healthy": health.is_success, "capabilities": capabilities}


def _print(document: dict[str, Json]) -> None:
    offered = document["capabilities"]
    state = "healthy" if document["healthy"] else "NOT healthy"
    show([f"{offered['provider_family']} / {offered['model_id']}: {state}"])
    handlers = offered.get("handlers")
    if not isinstance(handlers, list):
        show([f"task types: {', '.join(offered['task_types'])}", f"profiles: {', '.join(offered['profiles'])}"])
        return
    head = ("task type", "profiles", "deadline", "inputs", "output", "what it does")
    lines = (line for handler in handlers for line in _handler_lines(handler))
    show_table(head, [_row(handler) for handler in handlers], lines)


def _row(handler: dict[str, Json]) -> tuple[str, ...]:
    return (
        str(handler.get("task_type")),
        ", ".join(handler.get("profiles", ())),
        f"{handler['timeout_s']:g} s" if handler.get("timeout_s") else "",
        "\n".join(_fields(handler.get("input_schema"))),
        "\n".join(_fields(handler.get("output_schema"))),
        str(handler.get("description") or ""),
    )


def _handler_lines(handler: dict[str, Json]) -> Iterator[str]:
    timeout = f", {handler['timeout_s']:g} s" if handler.get("timeout_s") else ""
    yield f"{handler.get('task_type')} ({', '.join(handler.get('profiles', ()))}{timeout})"
    if handler.get("description"):
        yield f"  {handler['description']}"
    for name, schema in (("inputs", handler.get("input_schema")), ("output", handler.get("output_schema"))):
        fields = ", ".join(_fields(schema))
        if fields:
            yield f"  {name}: {fields}"


def _fields(schema: Json) -> Iterator[str]:
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return
    required = schema.get("required", ())
    for name, part in schema["properties"].items():
        kind = part.get("type", "any") if isinstance(part, dict) else "any"
        yield f"{name} {kind}" if name in required else f"[{name} {kind}]"
