"""What the command line prints: lines, and JSON with two spaces as the kernel prints it."""

from __future__ import annotations

import sys

import orjson

from executor_sdk.protocol.plain import Json


def say(line: str) -> None:
    """One line to standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """One line to standard error, at once: progress and complaints, so that standard output stays one document."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def say_json(value: Json, *, sort_keys: bool = False) -> None:
    """A JSON document; maps are sorted where the kernel sorts them."""
    options = orjson.OPT_INDENT_2 | (orjson.OPT_SORT_KEYS if sort_keys else 0)
    say(orjson.dumps(value, option=options).decode())


def say_compact(value: Json) -> None:
    """A JSON document on one line, keys sorted."""
    say(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())


def say_bytes(*lines: bytes) -> None:
    """Lines that were encoded before, as they stand."""
    sys.stdout.buffer.writelines(line + b"\n" for line in lines)
    sys.stdout.buffer.flush()
