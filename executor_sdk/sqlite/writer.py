"""The one writer of a SQLite file in this process: a thread that commits the work of many callers at once."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import anyio
from anyio import to_thread

from executor_sdk.sqlite.connection import Connection

T = TypeVar("T")

#: Pieces of work that share one commit at most; more would let the first one wait too long.
MAX_GROUP: Final = 256

#: Callers that may wait at once; a caller beyond is refused.
MAX_WAITING: Final = 4_096


@dataclass(slots=True, eq=False)
class _Job:
    """One piece of work, and who waits for it."""

    work: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    failure: BaseException | None = None
    #: Whether the result is committed, or the failure final.
    settled: bool = False


class Writer:
    """Runs pieces of work one after another in a thread of its own, each whole or not at all, many in one commit.

    A piece may run again when another one of its group has failed, so it changes nothing but rows. What it raises
    is raised to its own caller; a `sqlite3.Error` becomes `error`, made with a sentence. `saturated` is raised where
    `max_waiting` callers wait already. `before_commit` writes what a whole group shares, in its transaction. `name` is
    what the sentences call the database.
    """

    def __init__(
        self,
        open: Callable[[], Connection],  # noqa: A002 - what it does
        *,
        error: type[Exception],
        saturated: type[Exception] | None = None,
        name: str = "database",
        before_commit: Callable[[Connection], None] = lambda _: None,
        on_rollback: Callable[[], None] = lambda: None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._open = open
        self._error = error
        self._saturated = saturated or error
        self._name = name
        self._before_commit = before_commit
        self._on_rollback = on_rollback
        self._max_waiting = max_waiting
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        #: Guards what follows: a caller either finds the writer ended, or is in the queue before it ends.
        self._lock = threading.Lock()
        self._waiting = 0
        self._ended: str | None = None
        self._thread: threading.Thread | None = None
        # Used by the thread only.
        self._connection: Connection | None = None
        #: Commits so far: what group commit saves is seen here.
        self.commits = 0

    @property
    def fault(self) -> str | None:
        """Why nothing can be written any more; None while all is well."""
        if self._ended is None and self._thread is not None and not self._thread.is_alive():
            # After a fork, the child has the object without its thread.
            return f"the {self._name} has no writer in this process"
        return self._ended

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in the writer and return its result once it is on the disk.

        What `work` raises is raised here, and nothing that it wrote remains.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        with self._lock:
            self._admit()
            self._jobs.put(job)
        result: T = await job.future
        return result

    async def aclose(self) -> None:
        """Commit what waits, end the thread and close the file."""
        with self._lock:
            if self._ended is None:
                self._ended = f"the {self._name} is closed"
                self._jobs.put(None)
            thread = self._thread
        if thread is not None:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(thread.join)

    def _admit(self) -> None:
        if (fault := self.fault) is not None:
            raise self._error(fault)
        if self._waiting >= self._max_waiting:
            raise self._saturated(f"{self._waiting} callers wait for the {self._name} already; ask again later")
        self._waiting += 1
        if self._thread is None:
            # A daemon, so that a program that forgot to close can still end.
            self._thread = threading.Thread(target=self._live, name=f"{self._name}-writer", daemon=True)
            self._thread.start()

    def _live(self) -> None:
        fault: BaseException | None = None
        try:
            while self._serve():
                pass
        except BaseException as error:  # noqa: BLE001 - whatever ends this thread, every caller must hear it
            fault = error
        self._end(fault)
        self._disconnect()

    def _serve(self) -> bool:
        """Settle the next group and tell its callers; False once the writer closes."""
        if not (group := self._next_group()):
            return False
        try:
            self._settle(group)
        except BaseException as error:
            self._give_up(group, error)
            # A fault of the file or of ours does not outlive its group; the end of the interpreter does.
            if not isinstance(error, Exception):
                raise
        finally:
            self._answer(group)
        return True

    def _next_group(self) -> list[_Job]:
        """The next job and all that queued behind it; empty once the writer closes."""
        job = self._jobs.get()
        group: list[_Job] = []
        while job is not None:
            group.append(job)
            if len(group) == MAX_GROUP:
                return group
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._jobs.put(None)
        return group

    def _settle(self, group: list[_Job]) -> None:
        """Commit all of the group but what fails; the failure of one is not the failure of another."""
        if self._connection is None:
            self._connection = self._open()
        if self._committed(self._connection, group):
            return
        if len(group) == 1:
            group[0].settled = True
            return
        # One failed with something written. Without savepoints, which would cost every group, each now runs alone.
        for job in group:
            job.failure = None
            self._settle([job])

    def _committed(self, connection: Connection, group: list[_Job]) -> bool:
        """Run the group in one transaction; False if one of it failed half-way and everything was rolled back."""
        connection.begin()
        if not all(_ran(connection, job) for job in group):
            self._on_rollback()
            connection.roll_back()
            return False
        self._before_commit(connection)
        connection.commit()
        self.commits += 1
        for job in group:
            job.settled = True
        return True

    def _give_up(self, group: Iterable[_Job], error: BaseException) -> None:
        """Nothing of the group is there but what is settled; the next group gets a new connection."""
        known = isinstance(error, self._error)
        sentence = str(error) if known else f"the {self._name} could not write: {str(error) or type(error).__name__}"
        for job in group:
            if not job.settled:
                job.failure = self._error(sentence)
                job.failure.__cause__ = error
        try:
            self._on_rollback()
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _end(self, fault: BaseException | None) -> None:
        """Let nobody in any more, and tell those who wait."""
        with self._lock:
            if self._ended is None or fault is not None:
                self._ended = f"the writer of the {self._name} has ended: {fault!r}"
            sentence = self._ended
        left: list[_Job] = []
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job.failure = self._error(sentence)
                left.append(job)
        self._answer(left)

    def _answer(self, group: list[_Job]) -> None:
        """Wake all callers of a loop with one call into it."""
        with self._lock:
            self._waiting -= len(group)
        by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        for job in group:
            if job.failure is not None:
                job.failure = self._translated(job.failure)
            by_loop.setdefault(job.loop, []).append(job)
        for loop, jobs in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, jobs)
            except RuntimeError:
                continue  # the loop of these callers has ended; what they wrote is committed all the same

    def _translated(self, failure: BaseException) -> BaseException:
        """The failure as its caller gets it: no future takes a StopIteration, and a cancellation is not ours."""
        if isinstance(failure, (sqlite3.Error, StopIteration, GeneratorExit, asyncio.CancelledError)):
            told = self._error(f"the {self._name} refused: {str(failure) or type(failure).__name__}")
            told.__cause__ = failure
            return told
        return failure


def _ran(connection: Connection, job: _Job) -> bool:
    """Run one piece of work; False if it failed with something written, which the next one must not see.

    What fails has mostly written nothing: a lost lease, a wrong state.
    """
    before = connection.total_changes
    try:
        job.result = job.work(connection)
    except BaseException as error:  # noqa: BLE001 - raised again where the work is waited for
        job.failure = error
        return connection.in_transaction and connection.total_changes == before
    return True


def _resolve(jobs: list[_Job]) -> None:
    """Runs in the loop of the callers, some of whom may have gone."""
    for job in jobs:
        if job.future.done():
            continue
        if job.failure is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.failure)
