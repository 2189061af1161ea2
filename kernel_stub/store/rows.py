"""Rows to records and back; JSON columns are compact bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from msgspec.structs import asdict

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import UnreadableRowError
from kernel_stub.rules.records import Attempt, ExecutorEntry, Phase, Run, RunEvent, RunStatus, Step, StepStatus

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
    run_id, status, task_type, error, *times, _ = row
    return Run(run_id, RunStatus(status), task_type, *bodies, error, *times)


def step_from(row: Row) -> Step:
    """A step from its row; the columns are in the order of the record's fields."""
    fields = [*row[:8], StepStatus(row[8]), *row[9:18], orjson.loads(row[18])]
    return Step(*fields)


def attempt_from(row: Row) -> Attempt:
    """An attempt from its row; the columns are in the order of the record's fields."""
    candidate = None if row[8] is None else orjson.loads(row[8])
    fields = [*row[:5], Phase(row[5]), *row[6:8], candidate, row[9], *map(bool, row[10:])]
    return Attempt(*fields)


def run_event_from(row: Row) -> RunEvent:
    """A run event from its row."""
    return RunEvent(row[0], row[1], orjson.loads(row[2]), *row[3:])


def executor_from(row: Row) -> ExecutorEntry:
    """An entry of the registry from its row."""
    name, base_url, remote, *rest = row
    return ExecutorEntry(name, base_url, bool(remote), *rest)


def run_values(run: Run) -> dict[str, Any]:
    """The columns of a run; its bodies are not encoded, they have a row of their own."""
    return {**asdict(run), "status": run.status.value}


def body_values(run: Run) -> dict[str, Any]:
    """The columns of a run's bodies; the specification is encoded only for a new run."""
    return {
        "run_id": run.run_id,
        "shared_inputs": orjson.dumps(run.shared_inputs),
        "result": orjson.dumps(run.result),
    }


def step_values(step: Step) -> dict[str, Any]:
    """The columns of a step."""
    ready = int(step.status is StepStatus.QUEUED)
    return {**asdict(step), "status": step.status.value, "result": orjson.dumps(step.result), "ready": ready}


def new_step_values(step: Step) -> dict[str, Any]:
    """The columns of a step that is made; its tasks' ids are its stem and the number of the attempt."""
    return {**step_values(step), "task_stem": f"{step.run_id}-{step.agent_id}"}


def attempt_values(attempt: Attempt) -> dict[str, Any]:
    """The columns of an attempt; a closed one needs its bytes no more, they are not kept."""
    values = asdict(attempt) | {"phase": attempt.phase.value}
    if attempt.phase is Phase.CLOSED:
        return values | dict.fromkeys(("execute_body", "verify_body", "candidate"))
    return values if attempt.candidate is None else values | {"candidate": orjson.dumps(attempt.candidate)}
