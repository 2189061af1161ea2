"""What every command is made of: its arguments, its output, and its exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import orjson

from executor_sdk.cli.terminal import printable
from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.errors import ExecutorRefusedError, ExecutorUnreachableError
from executor_sdk.protocol.integers import huge_integer
from executor_sdk.protocol.plain import Json, NotJsonError, parse

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names it so


class Exit(IntEnum):
    """The exit codes of every command."""

    GOOD = 0
    JUDGED_BAD = 1  # the executor answered, and the answer is a refusal, a bad verdict, or does not conform
    USAGE = 2  # the command cannot be carried out as it was written
    UNREACHABLE = 3  # no answer came


class CommandError(Exception):
    """A command ends here; the message goes to standard error, or as a document to standard output with --json."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


class CommandParser(argparse.ArgumentParser):
    """Tells programs what is wrong with a command line as one JSON document, and people as argparse does."""

    def __init__(self, *, as_json: bool = False, **options: Any) -> None:
        super().__init__(**options)
        #: Whether the command line asks for JSON, known before the command line is understood.
        self.as_json = as_json

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        if self.as_json:
            tell(Exit.USAGE, message, as_json=True)
            self.exit(Exit.USAGE)
        super().error(message)


def tell(code: Exit, message: str, *, as_json: bool) -> None:
    """Say why a command ends: to a program as `{"error": {"code", "message"}}`, in place of its document."""
    if as_json:
        print(pretty({"error": {"code": code.name, "message": message}}))
    else:
        print(f"Error: {printable(message)}", file=sys.stderr)


def add_address(parser: argparse.ArgumentParser) -> None:
    """What is asked: an application or the address of one."""
    parser.add_argument("address", metavar="APP|URL", help="module:attribute, or http://…")


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], *, example: str = "", **options: Any
) -> argparse.ArgumentParser:
    """A command that `run` carries out, which can print for programs; `options` of `add_parser`."""
    parser = commands.add_parser(
        name,
        epilog=f"example: {example}" if example else None,
        **{"description": options.get("help"), **options},
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, also of an error")
    parser.set_defaults(run=run)
    return parser


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """How long one call may take."""
    parser.add_argument(
        "--timeout", type=positive, default=30.0, metavar="S", help="seconds for one call (default 30, as kernels wait)"
    )


@asynccontextmanager
async def asking(base_url: str, timeout_s: float) -> AsyncIterator[ExecutorClient]:
    """A client of an executor, whose errors end the command."""
    try:
        async with ExecutorClient(base_url, timeout_s=timeout_s) as client:
            yield client
    except ExecutorUnreachableError as error:
        raise CommandError(Exit.UNREACHABLE, error.message) from None
    except ExecutorRefusedError as error:
        raise CommandError(Exit.JUDGED_BAD, error.message) from None


def positive(text: str) -> float:
    """A number above zero."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def json_given(text: str) -> Json:
    """JSON as it stands, from the file after `@`, or from standard input for `-`.

    Raises:
        CommandError: the file cannot be read, it is no JSON, or it has an integer that kernels cannot read.
    """
    try:
        body = _bytes_given(text)
        document = parse(body)
    except OSError as error:
        raise CommandError(Exit.USAGE, f"--input {text[:60]}: {error.strerror or error}") from None
    except NotJsonError as error:
        raise CommandError(Exit.USAGE, f"--input {text[:60]}: no JSON, {error}; a file is named as @FILE") from None
    if (found := huge_integer(body)) is not None:
        path, digits = found
        raise CommandError(
            Exit.USAGE,
            f"--input: ${path} is an integer of {digits} digits, beyond 64 bits, which kernels read as a float; "
            "write it as a string",
        )
    return document


def pretty(document: Json) -> str:
    """JSON with two spaces of indentation, keys as they stand."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _bytes_given(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
