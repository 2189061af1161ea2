"""The SQL of a package: named statements and migrations, read from folders of `.sql` files."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_MIGRATION: Final = re.compile(r"schema_(\d+)\.sql")


@dataclass(frozen=True, slots=True)
class Sql:
    """What a database is asked, and how its tables are made."""

    #: By the name in the line `-- name --` above each.
    statements: Mapping[str, str]
    #: The statements of `schema_1.sql`, `schema_2.sql`, …; a released migration is never edited.
    migrations: tuple[tuple[str, ...], ...]


def load_sql(package: str, *folders: str) -> Sql:
    """The SQL in some folders of a package: the shared folder first, then the folder of the dialect.

    Raises:
        ValueError: two statements have one name, or the migrations are not numbered 1, 2, 3.
    """
    statements: dict[str, str] = {}
    migrations: dict[int, tuple[str, ...]] = {}
    for name, text in _texts(package, folders):
        if (numbered := _MIGRATION.fullmatch(name)) is not None:
            migrations[int(numbered[1])] = tuple(split_script(text))
            continue
        parts = _NAME.split(text)
        for statement, sql in zip(parts[1::2], parts[2::2], strict=True):
            if statement in statements:
                raise ValueError(f"{package}: two statements have the name {statement}")
            statements[statement] = sql.strip()
    if sorted(migrations) != list(range(1, len(migrations) + 1)):
        raise ValueError(f"{package}: migrations are numbered 1, 2, 3 without a gap, not {sorted(migrations)}")
    return Sql(statements, tuple(migrations[number] for number in sorted(migrations)))


def split_script(text: str) -> Iterator[str]:
    """The statements of a script one by one, so that they can run inside one transaction."""
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _texts(package: str, folders: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        found = (entry for entry in files(package).joinpath(folder).iterdir() if entry.name.endswith(".sql"))
        for entry in sorted(found, key=lambda entry: entry.name):
            yield entry.name, entry.read_text(encoding="utf-8")
