"""A small database for tests: words, and how often each was said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from executor_sdk.sqlite.connection import Connection, open_file
from executor_sdk.sqlite.statements import load_sql

SQL = load_sql(__package__ or "", "sql", "sql/dialect")


class WordError(Exception):
    """The words cannot be kept."""


class SaturatedError(WordError):
    """Too many wait."""


def opened(path: Path | str, *, busy_timeout_s: float = 5.0) -> Connection:
    """The words in this file."""
    return open_file(path, SQL, error=WordError, busy_timeout_s=busy_timeout_s)


def adding(word: object, times: object = 1.0) -> Callable[[Connection], object]:
    """Work that adds a word."""
    return lambda connection: connection.run("add_word", word=word, times=times)


def words_in(path: Path | str) -> list[str]:
    """What the file holds."""
    connection = opened(path)
    words = [word for (word,) in connection.run("list_words")]
    connection.close()
    return words
