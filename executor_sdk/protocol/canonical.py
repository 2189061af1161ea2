"""Canonical bytes: compact JSON as the kernel hashes it, in its two orders.

The kernel (serde_json) prints maps sorted by key and typed records in the order of their fields; hashes are made of
both, so both have a name here. White space and escapes of non-ASCII never appear; floats print their shortest
round-trip form. orjson agrees with the recorded vectors but for the literal `-0`, which it reads as the integer 0.
"""

from __future__ import annotations

import orjson

from executor_sdk.protocol.plain import Json


def sorted_bytes(value: Json) -> bytes:
    """Compact JSON with the keys of every object sorted: the form of whatever is generic JSON."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def declared_bytes(value: Json) -> bytes:
    """Compact JSON with keys as they stand: the form of a typed record whose dict was built in field order."""
    return orjson.dumps(value)


def sorted_copy(value: Json) -> Json:
    """`value` with the keys of every object sorted, to stand as a generic part inside a typed record."""
    return orjson.loads(sorted_bytes(value))
