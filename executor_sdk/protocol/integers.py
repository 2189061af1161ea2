"""Integers beyond 64 bits in JSON texts, where a kernel, and `parse` with it, reads a float."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from executor_sdk.protocol.plain import Json

#: What a kernel reads as an integer.
MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**64 - 1

#: Digits and sign of the longest of those integers.
_MAX_DIGITS: Final = 20

#: Every integer beyond has at least so many digits.
_LONG: Final = b"0" * 19
_DIGITS_AS_ZEROS: Final = bytes(ord("0") if byte in b"0123456789" else 0 for byte in range(256))


def may_have_huge_integers(text: bytes) -> bool:
    """Whether 19 digits stand in a row anywhere. False is certain, and takes a tenth of the time of a pattern."""
    return _LONG in text.translate(_DIGITS_AS_ZEROS)


def huge_integer(text: bytes) -> tuple[str, int] | None:
    """The path (as `.rows[0]`) of the first integer beyond 64 bits in a JSON text, and its digits, sign included."""
    if not may_have_huge_integers(text):
        return None
    level: list[tuple[str, Json]] = [("", json.loads(text, parse_int=_Digits))]
    while level:
        for path, value in level:
            if isinstance(value, _Digits) and value.are_huge:
                return path, len(value)
        level = [(f"{path}{step}", child) for path, value in level for step, child in _children(value)]
    return None


class _Digits(str):
    """An integer as it was written: Python refuses to read one of more than 4,300 digits."""

    __slots__ = ()

    @property
    def are_huge(self) -> bool:
        """Whether the integer is beyond 64 bits."""
        return len(self) > _MAX_DIGITS or not MIN_INT <= int(self) <= MAX_INT


def _children(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from ((f".{key}", child) for key, child in value.items())
    elif isinstance(value, list):
        yield from ((f"[{n}]", child) for n, child in enumerate(value))
