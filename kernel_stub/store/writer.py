"""The one writer of a SQLite file in this process: a thread that commits many changes at once."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kernel_stub.errors import StoreError

T = TypeVar("T")

#: Changes that share one commit at most; more would let the first one wait too long.
MAX_GROUP: Final = 256


@dataclass(slots=True)
class _Job:
    """One change, and who waits for it."""

    work: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs changes one after another in its own thread, a group of them in one commit.

    A change may be run again, when another of its group has failed: like everything that is thought in a transaction.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, on_rollback: Callable[[], None]) -> None:
        self._connect = connect
        self._on_rollback = on_rollback
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        #: Commits so far: what group commit saves is seen here.
        self.commits = 0
        # A daemon, so that a program that forgot to close the store can still end.
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer and return its result once it is committed.

        What `work` raises is raised here, and nothing that it wrote remains.
        """
        if self._closed:
            raise StoreError("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, future))
        return await future

    def close(self) -> None:
        """Commit what is queued and end the thread; blocks until it has ended."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        while (group := self._next_group()) is not None:
            try:
                connection = connection or self._connect()
                self._settle(connection, group)
            except sqlite3.Error as error:
                _fail(group, error)
            _answer(group)
        if connection is not None:
            connection.close()

    def _next_group(self) -> list[_Job] | None:
        """The next job and all that queued behind it; None once the store closes."""
        first = self._jobs.get()
        if first is None:
            return None
        group = [first]
        while len(group) < MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            group.append(job)
        return group

    def _settle(self, connection: sqlite3.Connection, group: list[_Job]) -> None:
        """Commit all of the group but what fails; nobody's failure is another's."""
        try:
            if self._commit(connection, group) or len(group) == 1:
                return
        except sqlite3.Error as error:
            _fail(group, error)
            return
        for job in group:
            job.error = None
            self._settle(connection, [job])

    def _commit(self, connection: sqlite3.Connection, group: list[_Job]) -> bool:
        """Run the group in one transaction; False if one of it failed half-way and everything was rolled back."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            if all(_ran(connection, job) for job in group):
                connection.execute("COMMIT")
                self.commits += 1
                return True
        except sqlite3.Error:
            self._roll_back(connection)
            raise
        self._roll_back(connection)
        return False

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        self._on_rollback()
        # A full disk has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _ran(connection: sqlite3.Connection, job: _Job) -> bool:
    """Run one change; False if it failed with something written, which the next one must not see.

    What fails has mostly written nothing: a lost lease, a wrong state. Rolling back the few others costs less than a
    savepoint for every change.
    """
    before = connection.total_changes
    try:
        job.result = job.work(connection)
    except BaseException as error:  # noqa: BLE001 - raised again where the change is waited for
        job.error = error
        return connection.in_transaction and connection.total_changes == before
    return True


def _fail(group: list[_Job], error: sqlite3.Error) -> None:
    """The commit failed, so nobody's change is there; a caller's own exception stays what it was."""
    for job in group:
        if job.error is None or isinstance(job.error, sqlite3.Error):
            job.error = StoreError(f"the store could not write: {error}")


def _answer(group: list[_Job]) -> None:
    """Wake all callers of a loop with one call into it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in group:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, jobs)
        except RuntimeError:
            continue  # the caller's loop has ended; its change is committed all the same


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, sqlite3.Error):
            job.future.set_exception(StoreError(f"the store refused: {job.error}"))
        else:
            job.future.set_exception(job.error)
