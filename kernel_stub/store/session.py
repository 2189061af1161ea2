"""One transaction's view of the store: loads states, saves changes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Final

import orjson

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import StepNotFoundError, TaskIdTakenError
from kernel_stub.log.identity import Identity
from kernel_stub.rules.records import TERMINAL_STEP, Attempt, Change, Run, Step
from kernel_stub.rules.states import EndingState, RunState, StepState
from kernel_stub.store import rows
from kernel_stub.store.database import Transaction
from kernel_stub.store.logbook import Logbook

_log: Final = logging.getLogger("kernel_stub.store")

#: Bytes of JSON whose decoded values a thread keeps. Decoded, they take several times as much.
CACHED_BYTES: Final = 16 * 1024 * 1024


class BodyCache:
    """Decoded bodies of the runs used last, by run id and revision; used by one thread at a time."""

    def __init__(self, max_bytes: int = CACHED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bodies: OrderedDict[tuple[str, int], tuple[rows.Bodies, int]] = OrderedDict()
        #: Bytes of JSON behind what is kept.
        self.size_bytes = 0

    def get(self, transaction: Transaction, run_id: str, revision: int) -> rows.Bodies:
        """The bodies of this revision. The decoded values are shared: nobody may change them."""
        key = (run_id, revision)
        if (known := self._bodies.get(key)) is not None:
            self._bodies.move_to_end(key)
            return known[0]
        row = next(iter(transaction.run("load_bodies", run_id=run_id)), None)
        if row is None:
            raise ValueError(f"run {run_id} has no bodies")
        bodies, size_bytes = rows.bodies_from(row), sum(map(len, row))
        self._bodies[key] = bodies, size_bytes
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes:
            _, (_, dropped_bytes) = self._bodies.popitem(last=False)
            self.size_bytes -= dropped_bytes
        return bodies

    def clear(self) -> None:
        """Forget everything: a transaction was rolled back, and its revisions will be given again."""
        self._bodies.clear()
        self.size_bytes = 0


class Session:
    """Loads and saves within the transaction that is `transaction`.

    Whatever is counted is counted behind the lock on its run, and locks are taken in the order run, step, log.
    """

    def __init__(self, transaction: Transaction, bodies: BodyCache, logbook: Logbook, identity: Identity) -> None:
        self._run = transaction.run
        self._transaction = transaction
        self._bodies = bodies
        self._logbook = logbook
        self._identity = identity

    @rows.readable()
    def run(self, run_id: str) -> Run | None:
        """The run without its steps, to be shown; not locked."""
        found = self._run("load_run", run_id=run_id)
        return self._run_from(found[0]) if found else None

    @rows.readable()
    def run_state(self, run_id: str) -> RunState:
        """The run with all its steps."""
        found = self._run("lock_run", run_id=run_id)
        return self._whole(self._run_from(found[0])) if found else RunState(None)

    @rows.readable()
    def step_state(self, step_id: str) -> StepState:
        """The step with its run and its current attempt.

        Raises:
            StepNotFoundError: no step has this id.
        """
        run, step, attempt, _ = self._load(step_id)
        return StepState(run, step, attempt, self._task_events(step))

    @rows.readable()
    def ending_state(self, step_id: str) -> EndingState:
        """The step for a decision that may end it.

        Raises:
            StepNotFoundError: no step has this id.
        """
        run, step, attempt, active = self._load(step_id)
        last = active == (step.status not in TERMINAL_STEP)
        return EndingState(run, step, attempt, self._task_events(step), self._whole(run) if last else None)

    def save(self, before: Run | None, change: Change) -> None:
        """Write the change; `before` is the run as it was loaded.

        Raises:
            TaskIdTakenError: the tasks of a new step would have the ids of another run's.
        """
        if change.run is not None:
            self._save_run(before, change.run)
        for step in change.steps:
            self._add_step(step) if before is None else self._run("update_step", **rows.step_values(step))
        for attempt in change.attempts:
            self._run("put_attempt", **rows.attempt_values(attempt))
        self._logbook.append(self._transaction, self._identity, change.task_events, change.run_events)

    def set_aside(self, step_id: str, reason: str, now_ms: int) -> None:
        """Keep the run of this step from being claimed: it cannot be read."""
        _log.error("the run of step %s is set aside: %s", step_id, reason)
        self._run("set_aside", step_id=step_id, reason=reason, now_ms=now_ms)
        self._run("hide_steps", step_id=step_id)

    def take_back(self, run_id: str) -> None:
        """The run can be read: if it was set aside, it is no longer."""
        if self._run("take_back", run_id=run_id):
            self._run("show_steps", run_id=run_id)

    def _load(self, step_id: str) -> tuple[Run, Step, Attempt | None, int]:
        found = self._run("lock_step", step_id=step_id)
        if not found:
            raise StepNotFoundError(step_id)
        row = found[0]
        of_step, of_run, of_attempt, active = row[:19], row[19:28], row[28:40], row[40]
        attempt = None if of_attempt[0] is None else rows.attempt_from(of_attempt)
        return self._run_from(of_run), rows.step_from(of_step), attempt, active

    def _whole(self, run: Run) -> RunState:
        steps = tuple(rows.step_from(row) for row in self._run("load_steps", run_id=run.run_id))
        rounds = tuple(rows.run_event_from(row) for row in self._run("load_rounds", run_id=run.run_id))
        return RunState(run, steps, rounds)

    def _run_from(self, row: rows.Row) -> Run:
        return rows.run_from(row, self._bodies.get(self._transaction, row[0], row[-1]))

    def _task_events(self, step: Step) -> tuple[Json, ...]:
        if step.task_id is None:
            return ()
        return tuple(orjson.loads(body) for (body,) in self._run("load_task_events", task_id=step.task_id))

    def _save_run(self, before: Run | None, run: Run) -> None:
        if before is None:
            self._run("insert_run", **rows.run_values(run))
            self._run("insert_bodies", **rows.body_values(run), spec=orjson.dumps(run.spec))
            return
        # Rules replace what they change and keep what they do not: identity tells, and costs nothing.
        changed = run.shared_inputs is not before.shared_inputs or run.result is not before.result
        self._run("update_run", **rows.run_values(run), bodies_changed=int(changed))
        if changed:
            self._run("update_bodies", **rows.body_values(run))

    def _add_step(self, step: Step) -> None:
        values = rows.new_step_values(step)
        if not self._run("insert_step", **values):
            ((namesake,),) = self._run("find_namesake", task_stem=values["task_stem"])
            raise TaskIdTakenError(step.run_id, namesake)
