"""Rows to records and back; JSON columns are compact bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from msgspec.structs import asdict

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import UnreadableRowError
from kernel_stub.rules.records import (
    Attempt,
    ExecutorEntry,
    Phase,
    Run,
    RunEvent,
    RunStatus,
    Step,
    StepStatus,
)

Row = tuple[Any, ...]

#: Spec, shared inputs and result of a run.
Bodies = tuple[Json, Json, Json]


@contextmanager
def readable() -> Iterator[None]:
    """Rows that this kernel did not write are an error of the store, in whatever way they fail to be records."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UnreadableRowError(f"the store holds a row that cannot be read: {error}") from error


def bodies_from(row: Row) -> Bodies:
    """The large parts of a run, decoded."""
    spec, shared_inputs, result = row
    return orjson.loads(spec), orjson.loads(shared_inputs), orjson.loads(result)


def run_from(row: Row, bodies: Bodies) -> Run:
    """A run from its row, less the revision, and its bodies."""
    run_id, status, task_type, error, created_at, updated_at, started_at, finished_at, _ = row
    spec, shared_inputs, result = bodies
    return Run(
        run_id, RunStatus(status), task_type, spec, shared_inputs, result, error,
        created_at, updated_at, started_at, finished_at,
    )  # fmt: skip


def step_from(row: Row) -> Step:
    """A step from its row; the columns are in the order of the record's fields."""
    *made, status, created_at, attempt, recoveries, lease_id, owner, holder, next_run_at, task_id, error, result = row
    step_id, run_id, agent_id, executor, profile, prompt, weight, priority = made
    return Step(
        step_id, run_id, agent_id, executor, profile, prompt, weight, priority, StepStatus(status), created_at,
        attempt, recoveries, lease_id, owner, holder, next_run_at, task_id, error, orjson.loads(result),
    )  # fmt: skip


def attempt_from(row: Row) -> Attempt:
    """An attempt from its row."""
    *made, phase, execute_body, verify_body, candidate, error, new_work, turned_down = row
    step_id, n, task_id, execution_id, verify_execution_id = made
    return Attempt(
        step_id, n, task_id, execution_id, verify_execution_id, Phase(phase), execute_body, verify_body,
        None if candidate is None else orjson.loads(candidate), error, bool(new_work), bool(turned_down),
    )  # fmt: skip


def run_event_from(row: Row) -> RunEvent:
    """A run event from its row."""
    run_id, event_type, payload, created_at, event_id, subject = row
    return RunEvent(run_id, event_type, orjson.loads(payload), created_at, event_id, subject)


def executor_from(row: Row) -> ExecutorEntry:
    """An entry of the registry from its row."""
    name, base_url, remote, *rest = row
    return ExecutorEntry(name, base_url, bool(remote), *rest)


def run_values(run: Run) -> dict[str, Any]:
    """The columns of a run without its bodies."""
    return {
        "run_id": run.run_id,
        "status": run.status.value,
        "task_type": run.task_type,
        "error": run.error,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def body_values(run: Run) -> dict[str, Any]:
    """The columns of a run's bodies; the specification is encoded only for a new run."""
    return {
        "run_id": run.run_id,
        "shared_inputs": orjson.dumps(run.shared_inputs),
        "result": orjson.dumps(run.result),
    }


def step_values(step: Step) -> dict[str, Any]:
    """The columns of a step."""
    return {
        "step_id": step.step_id,
        "run_id": step.run_id,
        "agent_id": step.agent_id,
        "executor": step.executor,
        "profile": step.profile,
        "prompt": step.prompt,
        "weight": step.weight,
        "priority": step.priority,
        "status": step.status.value,
        "created_at": step.created_at,
        "attempt": step.attempt,
        "recoveries": step.recoveries,
        "lease_id": step.lease_id,
        "lease_owner": step.lease_owner,
        "lease_holder": step.lease_holder,
        "next_run_at": step.next_run_at,
        "task_id": step.task_id,
        "error": step.error,
        "result": orjson.dumps(step.result),
        "ready": int(step.status is StepStatus.QUEUED),
    }


def new_step_values(step: Step) -> dict[str, Any]:
    """The columns of a step that is made; its tasks' ids are its stem and the number of the attempt."""
    return {**step_values(step), "task_stem": f"{step.run_id}-{step.agent_id}"}


def attempt_values(attempt: Attempt) -> dict[str, Any]:
    """The columns of an attempt; a closed one needs its bytes no more, they are not kept."""
    closed = attempt.phase is Phase.CLOSED
    return {
        "step_id": attempt.step_id,
        "n": attempt.n,
        "task_id": attempt.task_id,
        "execution_id": attempt.execution_id,
        "verify_execution_id": attempt.verify_execution_id,
        "phase": attempt.phase.value,
        "execute_body": None if closed else attempt.execute_body,
        "verify_body": None if closed else attempt.verify_body,
        "candidate": None if closed or attempt.candidate is None else orjson.dumps(attempt.candidate),
        "error": attempt.error,
        "new_work": int(attempt.new_work),
        "turned_down": int(attempt.turned_down),
    }


def executor_values(entry: ExecutorEntry) -> dict[str, Any]:
    """The columns of an entry of the registry."""
    return asdict(entry)
