"""Plain JSON: the one way in from bytes, with its bounds, and the ways into it."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import orjson

Json: TypeAlias = Any
"""None, bool, int, float, str, list or dict with str keys, nested. Spelled `Any` because mypy cannot narrow a
recursive union without a cast at every step; `parse` and `authoring.encoding` are what makes the promise true."""

#: Nesting levels a body may have. A task contract has 7; orjson itself stops at 1,024.
MAX_DEPTH: Final = 64

#: Bytes of one request body. An output is at most 65,536 bytes and its evidence some more; a contract is about 3 KB.
MAX_BODY_BYTES: Final = 4 * 1024 * 1024

#: Bodies that hold too few arrays and objects to set off a collection that takes long.
_SMALL_BYTES: Final = 65_536

#: Digits of an index into a list.
_MAX_DIGITS: Final = 9

#: Brackets as signed bytes: one level down, one level up. All other bytes are left out.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")


class NotJsonError(ValueError):
    """The bytes are not JSON, or deeper than allowed."""


def parse(body: bytes, *, max_depth: int | None = MAX_DEPTH) -> Json:
    """Decode `body`; integers beyond 64 bits become floats, as in the kernel. None: its depth is known to be bounded.

    Raises:
        NotJsonError: the bytes are no JSON text, or nest deeper than `max_depth`.
    """
    try:
        value = orjson.loads(body) if len(body) <= _SMALL_BYTES else _loaded(body)
    except orjson.JSONDecodeError as error:
        raise NotJsonError(str(error)) from None
    if max_depth is not None and is_deeper(body, max_depth):
        raise NotJsonError(f"nested deeper than {max_depth} levels")
    return value


def _loaded(body: bytes) -> Json:
    """As `orjson.loads`, without the collections of garbage that a million new arrays set off: four times as long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(body)
    finally:
        if was_enabled:
            gc.enable()


def is_deeper(body: bytes, max_depth: int) -> bool:
    """Whether the JSON text `body` nests deeper than `max_depth`; it need not be parsed for that."""
    # Counting brackets bounds the depth: nearly every body is settled here.
    if body.count(b"{") + body.count(b"[") <= max_depth:
        return False
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in body else body
    outside_strings = b"".join(unescaped.split(b'"')[::2])
    steps = memoryview(outside_strings.translate(_STEPS, _NO_BRACKETS)).cast("b")
    return max(accumulate(steps), default=0) > max_depth


def depth(value: Json) -> int:
    """How many arrays and objects stand inside each other; 0 for a scalar. Never recurses."""
    deepest = 0
    level = _containers([value])
    while level:
        deepest += 1
        level = _containers(child for parent in level for child in _children(parent))
    return deepest


def _containers(values: Iterable[Json]) -> list[Json]:
    return [value for value in values if isinstance(value, (dict, list))]


def _children(parent: Json) -> Iterable[Json]:
    return parent.values() if isinstance(parent, dict) else parent


def referenced(document: Json, reference: str) -> Json:
    """The part of `document` that `reference` names, `#` or `#/…` (JSON Pointer, RFC 6901), or None."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    part = document
    for step in unquote(reference).split("/")[1:]:
        part = _member(part, step.replace("~1", "/").replace("~0", "~"))
    return part


def _member(part: Json, name: str) -> Json:
    if isinstance(part, dict):
        return part.get(name)
    if isinstance(part, list) and name.isascii() and name.isdecimal() and len(name) <= _MAX_DIGITS:
        return part[int(name)] if int(name) < len(part) else None
    return None
