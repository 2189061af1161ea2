"""SQL by name: the statements of `sql/*.sql`, each under a line `-- name --`."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def load(*file_names: str) -> Mapping[str, str]:
    """The statements of some files, by name."""
    found: dict[str, str] = {}
    for file_name in file_names:
        parts = _NAME.split(_text(file_name))
        found.update(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    return found


def script(file_name: str) -> Iterator[str]:
    """The statements of a file one by one, so that they can run inside one transaction."""
    pending = ""
    for line in _text(file_name).splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _text(file_name: str) -> str:
    return (files(__package__) / "sql" / file_name).read_text(encoding="utf-8")
