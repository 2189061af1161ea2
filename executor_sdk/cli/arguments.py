"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from executor_sdk.cli.exits import CommandError, Exit
from executor_sdk.protocol.plain import Json, NotJsonError, parse

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it so


def add_address(parser: argparse.ArgumentParser) -> None:
    """What is asked: an application or the address of one."""
    parser.add_argument("address", metavar="APP|URL", help="module:attribute, or http://…")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Output for programs."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """How long one call may take."""
    parser.add_argument(
        "--timeout", type=positive, default=30.0, metavar="S", help="seconds for one call (default 30, as kernels wait)"
    )


def positive(text: str) -> float:
    """A number above zero."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def json_given(text: str) -> Json:
    """JSON as it stands, from the file after `@`, or from standard input for `-`.

    Raises:
        CommandError: the file cannot be read, or it is no JSON.
    """
    try:
        return parse(_bytes_given(text))
    except (OSError, NotJsonError) as error:
        raise CommandError(Exit.USAGE, f"--input {text[:60]}: {error}") from None


def _bytes_given(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
