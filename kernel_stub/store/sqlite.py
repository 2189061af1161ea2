"""The database in one SQLite file: one writer for this process; several processes may share the file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread

from executor_sdk.sqlite import connection, owners
from executor_sdk.sqlite.statements import load_sql
from executor_sdk.sqlite.writer import Writer
from kernel_stub.errors import StoreError, StoreSaturatedError
from kernel_stub.store.database import Transaction

T = TypeVar("T")

SQL: Final = load_sql("kernel_stub.store", "sql", "sql/sqlite")


class SqliteDatabase:
    """One writer thread and one reading connection; made in a thread, because it opens the file.

    Raises:
        StoreError: the file is no store, or was written by a later release.
    """

    def __init__(
        self, path: Path, *, before_commit: Callable[[Transaction], None], on_rollback: Callable[[], None]
    ) -> None:
        self._open = partial(connection.open_file, path, SQL, error=StoreError)
        self._owners = path.with_name(f"{path.name}.owners")
        self._changed = anyio.Event()
        self._reading = CapacityLimiter(1)
        self._closed = False
        self._reader: connection.Connection | None = self._open()
        self.writer = Writer(
            self._open,
            error=StoreError,
            saturated=StoreSaturatedError,
            name="store",
            before_commit=before_commit,
            on_rollback=on_rollback,
        )

    @property
    def changed(self) -> anyio.Event:
        return self._changed

    def wake(self) -> None:
        # Other processes poll.
        self._changed.set()
        self._changed = anyio.Event()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        return await self.writer.run(work)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        return await to_thread.run_sync(self._read, work, limiter=self._reading)

    def _read(self, work: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        reader = self._reader = self._reader or self._open()
        try:
            with reader.one_moment():
                return work(reader)
        except sqlite3.Error as error:
            # The next reader gets a new connection: this one may be broken.
            self._close_reader()
            raise StoreError(f"the store could not read: {error}") from error

    @asynccontextmanager
    async def holder(self) -> AsyncIterator[str]:
        try:
            owner = await to_thread.run_sync(owners.Owner, self._owners)
        except OSError as error:
            raise StoreError(f"{self._owners} cannot hold the lock of a worker: {error}") from error
        with owner:
            yield owner.id

    def is_alive(self, _: Transaction, holder: str) -> bool:
        return owners.is_alive(self._owners, holder)

    async def aclose(self) -> None:
        self._closed = True
        await self.writer.aclose()
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._close_reader, limiter=self._reading)

    def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
