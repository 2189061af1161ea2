"""The one thread that speaks to the ledger's SQLite file: what waits is done in one transaction and one flush."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio.to_thread

from executor_sdk.errors import ExecutorError
from executor_sdk.executions.ledger import LedgerError

T = TypeVar("T")

#: Calls that one transaction may hold.
BATCH: Final = 256
#: How long another process may hold the file before we give up.
BUSY_S: Final = 5.0


class _Call:
    """One piece of work for the thread, and whoever waits for it."""

    __slots__ = ("done", "failure", "loop", "result", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.failure: BaseException | None = None

    def tell(self) -> None:
        """Runs in the loop of whoever waits, who may have gone."""
        if self.done.done():
            return
        if self.failure is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(self.failure)


class SqliteWriter:
    """Runs functions of a connection one after another, each atomic, many to a commit."""

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        self._path = path
        self._migrations = migrations
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, once it is on the disk.

        Raises:
            LedgerError: the file cannot be used.
        """
        if self._closed:
            raise LedgerError("the ledger is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._live, name="ledger", daemon=True)
            self._thread.start()
        call = _Call(work)
        self._calls.put(call)
        result: T = await call.done
        return result

    async def close(self) -> None:
        """Finish what waits and close the file."""
        self._closed = True
        if self._thread is not None:
            self._calls.put(None)
            await anyio.to_thread.run_sync(self._thread.join)
            self._thread = None

    def _live(self) -> None:
        try:
            connection = self._connected()
        except (sqlite3.Error, OSError, LedgerError) as error:
            self._refuse(error)
            return
        try:
            while (batch := self._next_batch()) is not None:
                self._commit(connection, batch)
        finally:
            connection.close()

    def _connected(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        self._migrate(connection)
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(self._migrations):
            raise LedgerError(f"{self._path} was written by a later release (version {version})")
        for script in self._migrations[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(self._migrations)}")
        connection.execute("COMMIT")

    def _next_batch(self) -> list[_Call] | None:
        call = self._calls.get()
        if call is None:
            return None
        batch = [call]
        while len(batch) < BATCH:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is None:
                self._calls.put(None)
                break
            batch.append(call)
        return batch

    def _commit(self, connection: sqlite3.Connection, batch: Sequence[_Call]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for call in batch:
                _within_savepoint(connection, call)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for call in batch:
                call.failure = LedgerError(f"the ledger cannot be written: {error}")
        for call in batch:
            _tell(call)

    def _refuse(self, error: Exception) -> None:
        """The file cannot be opened: say so to everybody, until closed."""
        while (call := self._calls.get()) is not None:
            call.failure = LedgerError(f"the ledger {self._path} cannot be opened: {error}")
            _tell(call)


def _within_savepoint(connection: sqlite3.Connection, call: _Call) -> None:
    connection.execute("SAVEPOINT one")
    try:
        call.result = call.work(connection)
    except ExecutorError as error:
        call.failure = error
        connection.execute("ROLLBACK TO one")
    connection.execute("RELEASE one")


def _tell(call: _Call) -> None:
    try:
        call.loop.call_soon_threadsafe(partial(call.tell))
    except RuntimeError:
        # The loop has closed meanwhile; nobody waits any more.
        return
