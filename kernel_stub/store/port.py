"""The store's port: runs, the queue of their steps, the signed log and the registry, over one database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
import orjson
from msgspec.structs import asdict

from kernel_stub.errors import BrokenHeadError, RunNotFoundError
from kernel_stub.log.chain import Entry, Stray
from kernel_stub.log.head import Head
from kernel_stub.log.history import StoredRun
from kernel_stub.log.identity import Identity
from kernel_stub.rules.records import Change, ExecutorEntry, Run, RunEvent, RunStatus, Step, StepStatus
from kernel_stub.rules.states import EndingState, RunState, StepState
from kernel_stub.store import rows
from kernel_stub.store.claims import Claiming, ClaimOrder
from kernel_stub.store.database import Database, Transaction
from kernel_stub.store.logbook import Logbook, find_stray, load_entries, load_head
from kernel_stub.store.session import BodyCache, Session

T = TypeVar("T")
S = TypeVar("S", bound=StepState)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A step that can never succeed as it stands, or one of a run that cannot be read; and why."""

    run_id: str
    step_id: str
    executor: str
    attempt: int
    reason: str


class Store:
    """Where a kernel keeps what it knows; `bodies` is the cache of the writing side, cleared by every rollback.

    A `think` is pure and synchronous: it may run in another thread, and twice. What it raises passes to the caller
    with nothing written. Two changes of one run never interleave, in whichever process they are made.
    """

    def __init__(
        self,
        database: Database,
        bodies: BodyCache,
        logbook: Logbook,
        identity: Identity,
        *,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._database = database
        #: Who signs what is appended.
        self.identity = identity
        session = partial(Session, bodies=bodies, logbook=logbook, identity=identity)
        reading = partial(Session, bodies=BodyCache(), logbook=logbook, identity=identity)
        self.runs = Runs(database, session, reading)
        self.queue = Queue(database, session, new_id)
        self.log = Log(database, reading)
        self.executors = Executors(database)

    async def aclose(self) -> None:
        """Finish what waits, and close the database."""
        await self._database.aclose()


class Runs:
    """Runs with their steps and their local events."""

    def __init__(
        self, database: Database, session: Callable[[Transaction], Session], reading: Callable[[Transaction], Session]
    ) -> None:
        self._database = database
        self._session = session
        self._reading = reading

    async def change(self, run_id: str, think: Callable[[RunState], Change]) -> Change:
        """Load the run with all its steps, think, save; what was set aside is claimed again.

        Raises:
            TaskIdTakenError: a task of the new run would have the id of another one's.
        """

        def work(transaction: Transaction) -> Change:
            session = self._session(transaction)
            state = session.run_state(run_id)
            change = think(state)
            session.take_back(run_id)
            session.save(state.run, change)
            return change

        return _woken(self._database, await self._database.write(work))

    async def find(self, run_id: str) -> Run | None:
        """The run, if there is one of this id."""
        return await self._database.read(lambda transaction: self._reading(transaction).run(run_id))

    async def newest(self, *, limit: int) -> list[Run]:
        """The newest runs first."""

        def work(transaction: Transaction) -> list[Run]:
            session = self._reading(transaction)
            found = [session.run(run_id) for run_id, *_ in transaction.run("newest_runs", limit=limit)]
            return [run for run in found if run is not None]

        return await self._database.read(work)

    async def steps(self, run_id: str) -> tuple[Step, ...]:
        """Priority descending, then step id."""
        return tuple(await _read(self._database, rows.step_from, "load_steps", run_id=run_id))

    async def counts(self, run_id: str) -> dict[str, int]:
        """How many steps are in each state, by its lower-case name, in the documented order."""
        found: dict[str, int] = dict(await _read(self._database, tuple, "count_steps", run_id=run_id))
        return {status.lower(): found.get(status, 0) for status in StepStatus}

    async def events(self, run_id: str, *, limit: int, after_id: int = 0, newest_first: bool = True) -> list[RunEvent]:
        """Events of one run with an id above `after_id`; none for an unknown run."""
        name = "newest_run_events" if newest_first else "oldest_run_events"
        return await _read(self._database, rows.run_event_from, name, run_id=run_id, after_id=after_id, limit=limit)

    async def dead_letters(self, *, limit: int) -> list[DeadLetter]:
        """Failed steps and runs set aside, the newest first; a step that was queued again is no dead letter."""
        return await _read(self._database, lambda row: DeadLetter(*row), "dead_letters", limit=limit)


class Queue:
    """The steps that are due, and those that workers hold."""

    def __init__(
        self, database: Database, session: Callable[[Transaction], Session], new_id: Callable[[], str]
    ) -> None:
        self._database = database
        self._session = session
        self._new_id = new_id

    @property
    def changed(self) -> anyio.Event:
        """Set by the next change that made a step due, or told a run to stop; take it before looking for work."""
        return self._database.changed

    def holder(self) -> AbstractAsyncContextManager[str]:
        """An id for a worker to hold steps under: they are its own until the block or the process ends."""
        return self._database.holder()

    async def claim(self, order: ClaimOrder) -> list[StepState]:
        """Lease due steps, and resume those whose worker is dead or has handed them back."""

        def work(transaction: Transaction) -> list[StepState]:
            is_alive = partial(self._database.is_alive, transaction)
            claim = Claiming(self._session(transaction), transaction, order, new_id=self._new_id, is_alive=is_alive)
            return claim.held()

        return await self._database.write(work)

    async def advance(self, step_id: str, think: Callable[[StepState], Change]) -> Change:
        """Load the step with its run and attempt, think, save; the step goes on.

        Raises:
            StepNotFoundError: no step has this id.
        """

        return await self._change(lambda session: session.step_state(step_id), think)

    async def settle(self, step_id: str, think: Callable[[EndingState], Change]) -> Change:
        """As `advance`, for a decision that may end the step, and with it the round.

        Raises:
            StepNotFoundError: no step has this id.
        """

        change = await self._change(lambda session: session.ending_state(step_id), think)
        return _woken(self._database, change)

    async def lost(self, leases: Mapping[str, str]) -> frozenset[str]:
        """Which of the steps that a worker holds, given as step id to lease id, it has to let go.

        A step is held under another lease, or its run is being cancelled.
        """
        held = orjson.dumps(dict(leases)).decode()
        return frozenset(step_id for (step_id,) in await _read(self._database, tuple, "find_lost", leases=held))

    async def release(self, leases: Mapping[str, str]) -> None:
        """Hand steps back whose work has not ended: the next claim resumes them at once."""

        def work(transaction: Transaction) -> None:
            for step_id, lease_id in leases.items():
                transaction.run("release", step_id=step_id, lease_id=lease_id)

        await self._database.write(work)
        self._database.wake()

    async def _change(self, load: Callable[[Session], S], think: Callable[[S], Change]) -> Change:
        def work(transaction: Transaction) -> Change:
            session = self._session(transaction)
            state = load(session)
            change = think(state)
            session.save(state.run, change)
            return change

        return await self._database.write(work)


class Log:
    """The signed events of tasks and runs, and the tables that must say what they say."""

    def __init__(self, database: Database, reading: Callable[[Transaction], Session]) -> None:
        self._database = database
        self._reading = reading

    async def head(self) -> Head:
        """The signed head, as it was last committed."""
        return await self._database.read(_head)

    async def standing(self) -> tuple[Head, Stray | None]:
        """The signed head, and what stands outside the log that the head speaks of."""

        def work(transaction: Transaction) -> tuple[Head, Stray | None]:
            head = _head(transaction)
            return head, find_stray(transaction, head)

        return await self._database.read(work)

    async def entries(self, after: int, limit: int) -> list[Entry]:
        """Entries behind this place of the sequence, in order."""
        return await self._database.read(lambda transaction: load_entries(transaction, after, limit))

    async def run_ids(self, *, after: str, limit: int) -> list[str]:
        """The ids of the runs, in order."""
        return [run_id for (run_id,) in await _read(self._database, tuple, "run_ids", after=after, limit=limit)]

    async def history(self, run_id: str) -> StoredRun:
        """What is kept of one run, with all its events."""

        def work(transaction: Transaction) -> StoredRun:
            if (run := self._reading(transaction).run(run_id)) is None:
                raise RunNotFoundError(run_id)
            with rows.readable():
                steps = tuple(rows.step_from(row) for row in transaction.run("load_steps", run_id=run_id))
                events = [rows.run_event_from(row) for row in transaction.run("run_history", run_id=run_id)]
            return StoredRun(run, steps, events)

        return await self._database.read(work)


class Executors:
    """The registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[ExecutorEntry]:
        """By name."""
        return await _read(self._database, rows.executor_from, "list_executors")

    async def find(self, name: str) -> ExecutorEntry | None:
        """The entry of this name."""
        return next(iter(await _read(self._database, rows.executor_from, "load_executor", name=name)), None)

    async def put(self, entry: ExecutorEntry) -> None:
        """Add the entry, or replace the one of its name."""
        await self._database.write(lambda transaction: transaction.run("put_executor", **asdict(entry)))


def _head(transaction: Transaction) -> Head:
    if (head := load_head(transaction)) is None:
        raise BrokenHeadError(0, "it is not there")
    return head


async def _read(database: Database, record: Callable[[rows.Row], T], name: str, /, **values: Any) -> list[T]:
    """The records that a statement reads."""

    def work(transaction: Transaction) -> list[T]:
        found = transaction.run(name, **values)
        with rows.readable():
            return [record(row) for row in found]

    return await database.read(work)


def _woken(database: Database, change: Change) -> Change:
    """Wake those who wait, if there is something new for them."""
    stopping = change.run is not None and change.run.status is RunStatus.CANCELLING
    if stopping or any(step.status is StepStatus.QUEUED for step in change.steps):
        database.wake()
    return change
