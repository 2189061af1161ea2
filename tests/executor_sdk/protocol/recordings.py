"""Reads what was recorded from a real kernel; each file under tests/data has its origin beside it."""

from __future__ import annotations

import gzip
from pathlib import Path

from executor_sdk.protocol.plain import Json, parse

_DATA = Path(__file__).parents[2] / "data"


def recorded(name: str) -> list[Json]:
    """Every line of the recording `name`, in order."""
    path = _DATA / name
    body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [parse(line) for line in body.splitlines()]
