"""One transaction's view of a SQLite file: loads states, saves changes."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import orjson

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import StepNotFoundError, StoreError
from kernel_stub.log.identity import Identity
from kernel_stub.log.sign import signed
from kernel_stub.rules.records import TERMINAL_STEP, Change, EventDraft, Run, Step
from kernel_stub.rules.states import RunState, StepState
from kernel_stub.store import rows
from kernel_stub.store.statements import load

SQL: Final = load("queue.sql")

#: Runs whose specification and inputs stay decoded; steps of one run usually come together.
_CACHED_RUNS: Final = 64


@contextmanager
def readable() -> Iterator[None]:
    """Rows that nobody of us wrote are an error of the store, whichever way they fail to be records."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise StoreError(f"the store holds a row that cannot be read: {error}") from error


class BodyCache:
    """Decoded bodies of the runs used last, by run id and revision; used by one thread only."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[tuple[str, int], rows.Bodies] = OrderedDict()

    def get(self, connection: sqlite3.Connection, run_id: str, revision: int) -> rows.Bodies:
        """The bodies of this revision. The decoded values are shared: nobody may change them."""
        key = (run_id, revision)
        bodies = self._bodies.get(key)
        if bodies is None:
            row = connection.execute(SQL["load_bodies"], {"run_id": run_id}).fetchone()
            bodies = self._bodies[key] = rows.bodies_from(row)
            while len(self._bodies) > _CACHED_RUNS:
                self._bodies.popitem(last=False)
        self._bodies.move_to_end(key)
        return bodies

    def clear(self) -> None:
        """Forget everything: a transaction was rolled back, and its revisions will be given again."""
        self._bodies.clear()


class Session:
    """Loads and saves within the transaction that is open on `connection`."""

    def __init__(self, connection: sqlite3.Connection, cache: BodyCache, identity: Identity) -> None:
        self._connection = connection
        self._cache = cache
        self._identity = identity

    @readable()
    def run_state(self, run_id: str) -> RunState:
        """The run with all its steps."""
        run = self._run(run_id)
        if run is None:
            return RunState(None)
        steps = tuple(rows.step_from(row) for row in self._all("load_steps", run_id=run_id))
        rounds = tuple(rows.run_event_from(row) for row in self._all("load_reexplores", run_id=run_id))
        return RunState(run, steps, rounds)

    @readable()
    def step_state(self, step_id: str) -> StepState:
        """The step with its run and its current attempt.

        Raises:
            StepNotFoundError: no step has this id.
        """
        row = self._one("load_state", step_id=step_id)
        if row is None:
            raise StepNotFoundError(step_id)
        of_step, of_run, of_attempt, active = row[:19], row[19:28], row[28:38], row[38]
        step = rows.step_from(of_step)
        return StepState(
            run=self._run_from(of_run),
            step=step,
            attempt=None if of_attempt[0] is None else rows.attempt_from(of_attempt),
            others_active=active - (step.status not in TERMINAL_STEP),
            siblings=lambda: self.run_state(step.run_id),
            task_events=lambda: self._task_events(step.task_id),
        )

    def expired(self, now_ms: int, limit: int) -> list[str]:
        """Ids of leased steps whose holder did not renew in time."""
        return [step_id for (step_id,) in self._all("find_expired", now_ms=now_ms, limit=limit)]

    def due(self, now_ms: int, limit: int) -> list[str]:
        """Ids of the next steps to claim."""
        self._execute("make_due", {"now_ms": now_ms})
        return [step_id for (step_id,) in self._all("find_due", limit=limit)]

    def save(self, before: Run | None, change: Change) -> None:
        """Write the change; `before` is the run as it was loaded."""
        if change.run is not None:
            self._save_run(before, change.run)
        for step in change.steps:
            self._save_step(step)
        for attempt in change.attempts:
            self._execute("put_attempt", rows.attempt_values(attempt))
        for event in change.run_events:
            self._execute("append_run_event", rows.run_event_values(event))
        if change.task_events:
            self._append(change.task_events)

    def _append(self, drafts: Sequence[EventDraft]) -> None:
        events = [signed(self._identity, draft) for draft in drafts]
        values = [value for event in events for value in (event.event_id, event.task_id, event.kind, event.body)]
        self._connection.execute(SQL["append_events"] + ", (?, ?, ?, ?)" * (len(events) - 1), values)

    def _save_run(self, before: Run | None, run: Run) -> None:
        if before is None:
            self._execute("insert_run", rows.run_values(run))
            self._execute("insert_bodies", {**rows.body_values(run), "spec": orjson.dumps(run.spec)})
            return
        # Rules replace what they change and keep what they do not: identity tells, and costs nothing.
        changed = run.shared_inputs is not before.shared_inputs or run.result is not before.result
        self._execute("update_run", {**rows.run_values(run), "bodies_changed": int(changed)})
        if changed:
            self._execute("update_bodies", rows.body_values(run))

    def _save_step(self, step: Step) -> None:
        values = rows.step_values(step)
        if self._execute("update_step", values).rowcount == 0:
            self._execute("insert_step", values)

    def _run(self, run_id: str) -> Run | None:
        row = self._one("load_run", run_id=run_id)
        return None if row is None else self._run_from(row)

    def _run_from(self, row: rows.Row) -> Run:
        return rows.run_from(row, self._cache.get(self._connection, row[0], row[-1]))

    def _task_events(self, task_id: str | None) -> Sequence[Json]:
        return [orjson.loads(body) for (body,) in self._all("load_task_events", task_id=task_id)]

    def _execute(self, name: str, values: dict[str, Any]) -> sqlite3.Cursor:
        return self._connection.execute(SQL[name], values)

    def _one(self, name: str, **values: Any) -> rows.Row | None:
        row: rows.Row | None = self._connection.execute(SQL[name], values).fetchone()
        return row

    def _all(self, name: str, **values: Any) -> list[rows.Row]:
        return self._connection.execute(SQL[name], values).fetchall()
