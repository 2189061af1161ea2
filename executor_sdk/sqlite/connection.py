"""A connection to a SQLite file: durable, migrated to the newest schema, and asked by the names of statements."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from executor_sdk.sqlite.statements import Sql

Row = tuple[Any, ...]

#: How long one process waits for the commit of another one before it gives up.
BUSY_TIMEOUT_S: Final = 30.0

#: `RETURNING` came with 3.35, STRICT tables with 3.37.
OLDEST_SQLITE: Final = (3, 37, 0)

_SWITCH_AGAIN_S: Final = 0.005

#: Compiled statements that one connection keeps: more than any package of ours has.
_KEPT_STATEMENTS: Final = 256


class Connection:
    """Runs named statements. One thread at a time may use it; transactions are begun and ended by the caller."""

    def __init__(self, raw: sqlite3.Connection, statements: Mapping[str, str]) -> None:
        self._raw = raw
        self._statements = statements

    def run(self, name: str, /, **values: Any) -> list[Row]:
        """The rows of the statement; what writes and has to be counted ends with RETURNING.

        Raises:
            sqlite3.Error: it cannot be done; also where a value cannot be written at all.
        """
        try:
            return self._raw.execute(self._statements[name], values).fetchall()
        except (UnicodeError, OverflowError) as error:
            raise _unfit(name, error) from error

    def run_each(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write many rows by one statement, which returns nothing; cheaper than a call for each.

        Raises:
            sqlite3.Error: as `run`.
        """
        try:
            self._raw.executemany(self._statements[name], rows)
        except (UnicodeError, OverflowError) as error:
            raise _unfit(name, error) from error

    @property
    def in_transaction(self) -> bool:
        return self._raw.in_transaction

    @property
    def total_changes(self) -> int:
        """Rows written since the connection was opened."""
        return self._raw.total_changes

    def begin(self) -> None:
        """Start to write; waits for the writers of other processes."""
        self._raw.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._raw.execute("COMMIT")

    def roll_back(self) -> None:
        # A full disk has rolled back already.
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Read the file as it is at one moment, whatever is written meanwhile."""
        self._raw.execute("BEGIN")
        try:
            yield
        finally:
            self.roll_back()

    def close(self) -> None:
        self._raw.close()


def _unfit(name: str, error: Exception) -> sqlite3.DataError:
    """A lone surrogate, an integer beyond 64 bits: faults of the data, which sqlite3 raises as they come."""
    return sqlite3.DataError(f"{name} got a value that SQLite cannot hold: {error}")


def open_file(
    path: Path | str, sql: Sql, *, error: type[Exception], busy_timeout_s: float = BUSY_TIMEOUT_S
) -> Connection:
    """Open the file, making it or bringing its schema forward as needed; raises `error` with a sentence.

    Only its owner can read a file that is made here, and what SQLite puts beside it.
    """
    path = Path(path).absolute()
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise error(f"SQLite {sqlite3.sqlite_version} is too old: {oldest} or newer is needed; use a newer Python")
    raw: sqlite3.Connection | None = None
    try:
        raw = _connected(path, busy_timeout_s)
        version = _migrate(raw, sql)
    except (OSError, ValueError, sqlite3.Error) as failure:
        if raw is not None:
            raw.close()
        raise error(f"{path} cannot be opened: {failure}") from failure
    if version > (known := len(sql.migrations)):
        raw.close()
        raise error(f"{path} was written by a later release (version {version}); this one knows {known}")
    return Connection(raw, sql.statements)


def _connected(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    raw = sqlite3.connect(
        path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, cached_statements=_KEPT_STATEMENTS
    )
    try:
        _switch_to_wal(raw, busy_timeout_s)
        # FULL: a commit that was answered survives a power cut.
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        raw.close()
        raise
    return raw


def _switch_to_wal(raw: sqlite3.Connection, busy_timeout_s: float) -> None:
    """Two openers of a new file may meet here, and for this one statement SQLite does not wait by itself."""
    give_up_at = time.monotonic() + busy_timeout_s
    while True:
        try:
            (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(_SWITCH_AGAIN_S)
        else:
            if mode != "wal":
                raise sqlite3.NotSupportedError(f"the file system has no write-ahead log (journal mode {mode})")
            return


def _migrate(raw: sqlite3.Connection, sql: Sql) -> int:
    """Bring the file to the newest version in one transaction; returns the version it has then."""
    newest = len(sql.migrations)
    if (version := _version(raw)) >= newest:
        return version
    raw.execute("BEGIN IMMEDIATE")
    try:
        # Read again inside the transaction: another process may have migrated while this one waited for the lock.
        version = _version(raw)
        for statements in sql.migrations[version:]:
            for statement in statements:
                raw.execute(statement)
        if version < newest:
            raw.execute(f"PRAGMA user_version = {newest}")
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    return max(version, newest)


def _version(raw: sqlite3.Connection) -> int:
    version: int = raw.execute("PRAGMA user_version").fetchone()[0]
    return version
