"""The store on one SQLite file: WAL, a durable commit, one writer a process; several processes may share the file."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import orjson
from anyio import CapacityLimiter, to_thread

from kernel_stub.errors import StoreError
from kernel_stub.log.identity import Identity
from kernel_stub.rules.records import Change, ExecutorEntry, Run, RunEvent, RunStatus, Step, StepStatus
from kernel_stub.rules.states import RunState, StepState
from kernel_stub.store import rows
from kernel_stub.store.claims import ClaimOrder, claim
from kernel_stub.store.port import DeadLetter
from kernel_stub.store.schema import migrate
from kernel_stub.store.session import SQL, BodyCache, Session, readable
from kernel_stub.store.statements import load
from kernel_stub.store.writer import Writer

T = TypeVar("T")

READS: Final = load("queue.sql", "reads.sql")

#: How long one process waits for another one's commit before it gives up.
_BUSY_TIMEOUT_S: Final = 30.0

_SWITCH_AGAIN_S: Final = 0.005


@asynccontextmanager
async def open_store(
    path: Path, *, identity: Identity, new_id: Callable[[], str] | None = None
) -> AsyncIterator[SqliteStore]:
    """Open the file, making or migrating it as needed; `identity` signs the events that changes append.

    Raises:
        StoreError: the file is no store, or was written by a newer kernel.
    """
    store = await to_thread.run_sync(lambda: SqliteStore(path, identity, new_id or _uuid))
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


class SqliteStore:
    """The store's port over one writer thread and one reading connection; open it with `open_store`."""

    def __init__(self, path: Path, identity: Identity, new_id: Callable[[], str]) -> None:
        self._identity = identity
        self._new_id = new_id
        self._changed = anyio.Event()
        self._reading = CapacityLimiter(1)
        self._read_cache = BodyCache()
        self._reader = _prepared(path)
        self._write_cache = BodyCache()
        self.writer = Writer(lambda: _connected(path), on_rollback=self._write_cache.clear)

    @property
    def changed(self) -> anyio.Event:
        """Set by the next change in this process that made a step due, or told a run to stop."""
        return self._changed

    async def change_run(self, run_id: str, think: Callable[[RunState], Change]) -> Change:
        def work(connection: sqlite3.Connection) -> Change:
            session = self._session(connection)
            state = session.run_state(run_id)
            change = think(state)
            session.save(state.run, change)
            return change

        return self._noted(await self.writer.change(work))

    async def change_step(self, step_id: str, think: Callable[[StepState], Change]) -> Change:
        def work(connection: sqlite3.Connection) -> Change:
            session = self._session(connection)
            state = session.step_state(step_id)
            change = think(state)
            session.save(state.run, change)
            return change

        return self._noted(await self.writer.change(work))

    async def claim(
        self, *, owner: str, limit: int, now_ms: int, lease_ms: int, max_recoveries: int = 10
    ) -> list[StepState]:
        order = ClaimOrder(owner, limit, now_ms, lease_ms, max_recoveries, self._new_id)
        return await self.writer.change(lambda connection: claim(self._session(connection), order))

    async def renew(self, leases: Mapping[str, str], until_ms: int) -> frozenset[str]:
        def work(connection: sqlite3.Connection) -> frozenset[str]:
            return frozenset(
                step_id
                for step_id, lease_id in leases.items()
                if not connection.execute(
                    SQL["renew"], {"step_id": step_id, "lease_id": lease_id, "until_ms": until_ms}
                ).rowcount
            )

        return await self.writer.change(work)

    async def release(self, leases: Mapping[str, str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for step_id, lease_id in leases.items():
                connection.execute(SQL["release"], {"step_id": step_id, "lease_id": lease_id})

        await self.writer.change(work)

    async def run(self, run_id: str) -> Run | None:
        return await self._read(lambda connection: self._one_run(connection, run_id))

    async def runs(self, *, limit: int) -> list[Run]:
        def work(connection: sqlite3.Connection) -> list[Run]:
            found = connection.execute(READS["newest_runs"], {"limit": limit}).fetchall()
            return [rows.run_from(row, self._read_cache.get(connection, row[0], row[-1])) for row in found]

        return await self._read(work)

    async def steps(self, run_id: str) -> tuple[Step, ...]:
        return tuple(rows.step_from(row) for row in await self._rows("load_steps", run_id=run_id))

    async def step_among(self, step_ids: Sequence[str]) -> str | None:
        if not step_ids:
            return None
        found = await self._rows("step_among", step_ids=orjson.dumps(step_ids).decode())
        return found[0][0] if found else None

    async def counts(self, run_id: str) -> dict[str, int]:
        found: dict[str, int] = dict(await self._rows("count_steps", run_id=run_id))
        return {status.lower(): found.get(status, 0) for status in StepStatus}

    async def run_events(
        self, run_id: str, *, limit: int, after_id: int = 0, newest_first: bool = True
    ) -> list[RunEvent]:
        name = "newest_run_events" if newest_first else "oldest_run_events"
        found = await self._rows(name, run_id=run_id, after_id=after_id, limit=limit)
        return [rows.run_event_from(row) for row in found]

    async def executors(self) -> list[ExecutorEntry]:
        return [rows.executor_from(row) for row in await self._rows("list_executors")]

    async def executor(self, name: str) -> ExecutorEntry | None:
        found = await self._rows("load_executor", name=name)
        return rows.executor_from(found[0]) if found else None

    async def put_executor(self, entry: ExecutorEntry) -> None:
        await self.writer.change(
            lambda connection: connection.execute(READS["put_executor"], rows.executor_values(entry))
        )

    async def remove_executor(self, name: str) -> bool:
        return await self.writer.change(
            lambda connection: connection.execute(READS["remove_executor"], {"name": name}).rowcount > 0
        )

    async def log_head(self) -> int:
        head: int = (await self._rows("log_head"))[0][0]
        return head

    async def log_page(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        return [(seq, body) for seq, body in await self._rows("log_page", after=after, limit=limit)]

    async def succeeded_steps(self, *, after: str, limit: int) -> list[Step]:
        return [rows.step_from(row) for row in await self._rows("succeeded_steps", after=after, limit=limit)]

    async def dead_letters(self, *, limit: int) -> list[DeadLetter]:
        steps = [rows.step_from(row) for row in await self._rows("failed_steps", limit=limit)]
        return [DeadLetter(step, step.error or "") for step in steps]

    async def close(self) -> None:
        await to_thread.run_sync(self.writer.close)
        await to_thread.run_sync(self._reader.close, limiter=self._reading)

    def _session(self, connection: sqlite3.Connection) -> Session:
        return Session(connection, self._write_cache, self._identity)

    def _noted(self, change: Change) -> Change:
        """Wake this process's workers if there is something new for them."""
        stopping = change.run is not None and change.run.status is RunStatus.CANCELLING
        if stopping or any(step.status is StepStatus.QUEUED for step in change.steps):
            self._changed.set()
            self._changed = anyio.Event()
        return change

    def _one_run(self, connection: sqlite3.Connection, run_id: str) -> Run | None:
        row = connection.execute(READS["load_run"], {"run_id": run_id}).fetchone()
        return None if row is None else rows.run_from(row, self._read_cache.get(connection, run_id, row[-1]))

    async def _rows(self, statement: str, /, **values: Any) -> list[rows.Row]:
        return await self._read(lambda connection: connection.execute(READS[statement], values).fetchall())

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the reading connection, in a transaction of its own so that it sees one moment."""

        def read() -> T:
            self._reader.execute("BEGIN")
            try:
                with readable():
                    return work(self._reader)
            finally:
                self._reader.execute("COMMIT")

        try:
            return await to_thread.run_sync(read, limiter=self._reading)
        except sqlite3.Error as error:
            raise StoreError(f"the store could not read: {error}") from error


def _prepared(path: Path) -> sqlite3.Connection:
    """A connection to a file that is at the newest version."""
    try:
        # The registry may hold credentials: only the owner reads the file, and what SQLite puts beside it.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        connection = _connected(path)
        migrate(connection)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be opened as a store: {error}") from error
    return connection


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    _switch_to_wal(connection)
    # FULL: a commit that was answered survives a power cut, so bytes that were sent are always known.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Two openings of a new file may meet here, and for this one statement SQLite does not wait by itself."""
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(_SWITCH_AGAIN_S)
        else:
            return


def _uuid() -> str:
    return str(uuid.uuid4())
