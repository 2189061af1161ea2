"""Plain JSON: the one way in from bytes, with bounds, and the one check that a Python value may go out as JSON."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import orjson

Json: TypeAlias = Any
"""None, bool, int, float, str, list or dict with str keys, nested. Spelled `Any` because mypy cannot narrow a
recursive union without a cast at every step; `checked` is what makes the promise true."""

#: Nesting levels a body may have. A task contract has 7; orjson itself stops at 1,024.
MAX_DEPTH: Final = 64

#: Bytes of one request body. An output is at most 65,536 bytes and its evidence some more; a contract is about 3 KB.
MAX_BODY_BYTES: Final = 4 * 1024 * 1024

#: Bodies that hold too few arrays and objects to set off a collection that takes long.
_SMALL_BYTES: Final = 65_536

#: Brackets as signed bytes: one level down, one level up. All other bytes are left out.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1


class NotJsonError(ValueError):
    """The bytes are not JSON, or deeper than allowed."""


class NotPlainError(ValueError):
    """A Python value cannot be sent as JSON; the message begins with the path to the part that cannot."""


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


def checked(value: object, *, max_depth: int = MAX_DEPTH) -> Json:
    """Return `value` as plain JSON: tuples as lists, enum members as their values, integers beyond 64 bits as floats.

    Raises:
        NotPlainError: NaN or infinity (which would go out as null), a key that is no string, a type that JSON does
            not have, or nesting beyond `max_depth` (a value that contains itself ends here too).
    """
    return _checked(value, None, max_depth)


def _containers(values: Iterable[Json]) -> list[Json]:
    return [value for value in values if isinstance(value, (dict, list))]


def _children(parent: Json) -> Iterable[Json]:
    return parent.values() if isinstance(parent, dict) else parent


#: The way to a value inside another: its parent's way and the last step; written out only when something is wrong.
_Way: TypeAlias = "tuple[_Way, str | int] | None"


def _checked(value: object, way: _Way, levels: int) -> Json:
    # The busiest types in front: this is on the path of many answers.
    if isinstance(value, str):
        return _text(value, way)
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return int.__int__(value) if _MIN_INT <= value <= _MAX_INT else _as_float(value, way)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotPlainError(f"{_place(way)} is {value}, which JSON cannot say; send null or leave the key out")
        return float.__float__(value)
    if not isinstance(value, (dict, list, tuple)):
        raise NotPlainError(f"{_place(way)} is a {type(value).__name__}, which is not JSON")
    if levels <= 0:
        raise NotPlainError(f"{_place(way)} is nested too deeply")
    if isinstance(value, dict):
        return {_key(key, way): _checked(item, (way, key), levels - 1) for key, item in value.items()}
    return [_checked(item, (way, n), levels - 1) for n, item in enumerate(value)]


def _key(key: object, way: _Way) -> str:
    if not isinstance(key, str):
        raise NotPlainError(f"{_place(way)} has the key {key!r}; JSON keys are strings")
    return _text(key, way)


def _text(value: str, way: _Way) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotPlainError(f"{_place(way)} has half of a surrogate pair, which is not text") from None
    # A member of an enum is a string, but not to every encoder; itself, where it is nothing more.
    return str.__str__(value)


def _as_float(value: int, way: _Way) -> float:
    try:
        return float(value)
    except OverflowError:
        bits = value.bit_length()
        raise NotPlainError(f"{_place(way)} is an integer of {bits} bits, beyond every JSON number") from None


def _place(way: _Way) -> str:
    steps: list[str] = []
    while way is not None:
        way, step = way
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "$" + "".join(reversed(steps))


#: Digits of an index into a list.
_MAX_DIGITS = 9


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
