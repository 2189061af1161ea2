"""The records of the kernel: what it keeps of runs, steps and attempts, and the change that a decision asks for.

All frozen; times are epoch milliseconds. The store loads them, rules think over them, the store saves the change.
Structs of msgspec, which are made and replaced ten times faster than frozen dataclasses: a step makes a hundred.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from executor_sdk.protocol.plain import Json


class RunStatus(StrEnum):
    """States of a run; the last three are terminal."""

    CREATED = "CREATED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    FINALIZED = "FINALIZED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StepStatus(StrEnum):
    """States of a step, in the order in which counts are shown."""

    CREATED = "CREATED"
    QUEUED = "QUEUED"
    LEASED = "LEASED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    RETRY_WAIT = "RETRY_WAIT"
    CANCELLED = "CANCELLED"
    REMOTE_DISPATCHED = "REMOTE_DISPATCHED"


TERMINAL_RUN = frozenset({RunStatus.FINALIZED, RunStatus.FAILED, RunStatus.CANCELLED})
TERMINAL_STEP = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELLED})


class Phase(StrEnum):
    """How far an attempt has come; everything needed to go on from there is committed with it."""

    PROBING = "PROBING"
    EXECUTING = "EXECUTING"
    VERIFYING = "VERIFYING"
    CLOSED = "CLOSED"


class Run(msgspec.Struct, frozen=True):
    """One run. `spec` is the submitted specification with defaults filled in; `result` the documented inner result."""

    run_id: str
    status: RunStatus
    task_type: str
    spec: dict[str, Json]
    shared_inputs: Json
    result: dict[str, Json]
    error: str | None
    created_at: int
    updated_at: int
    started_at: int | None = None
    finished_at: int | None = None


class Step(msgspec.Struct, frozen=True):
    """One agent's part of a run; `step_id` is `RUN:AGENT`. Only the holder of `lease_id` may change a leased step.

    `lease_owner` is the worker's name; `lease_holder` the id under which the store knows whether it lives, empty once
    the step was handed back.
    """

    step_id: str
    run_id: str
    agent_id: str
    executor: str
    profile: str
    prompt: str
    weight: float
    priority: int
    status: StepStatus
    created_at: int
    attempt: int = 0
    recoveries: int = 0
    lease_id: str | None = None
    lease_owner: str | None = None
    lease_holder: str | None = None
    next_run_at: int = 0
    task_id: str | None = None
    error: str | None = None
    result: Json = msgspec.field(default_factory=dict)


class Attempt(msgspec.Struct, frozen=True):
    """The n-th try at a step: its ids, its phase, and the exact bytes it has sent or is about to send.

    `turned_down`: another executor than the step's own did not pass its candidate. `new_work`: the attempt before was
    turned down, so the executor is asked for new work instead of what it has.
    """

    step_id: str
    n: int
    task_id: str
    execution_id: str
    verify_execution_id: str
    phase: Phase
    execute_body: bytes | None = None
    verify_body: bytes | None = None
    candidate: dict[str, Json] | None = None
    error: str | None = None
    new_work: bool = False
    turned_down: bool = False


class ExecutorEntry(msgspec.Struct, frozen=True):
    """One line of the executor registry, by the documents' names."""

    name: str
    base_url: str
    remote: bool = False
    target_node_id: str | None = None
    scope_hint: str | None = None
    agent_event_callback_base_url: str | None = None
    commit_plane_endpoint: str | None = None
    commit_plane_token_file: str | None = None


class RunEvent(msgspec.Struct, frozen=True):
    """A local fact about a run, signed in a form of our own; the store gives it its `event_id`, ascending.

    `subject` is signed beside the payload and not shown: the digest of what the event is about, a new run's
    specification or the result of a step.
    """

    run_id: str
    event_type: str
    payload: dict[str, Json]
    created_at: int
    event_id: int | None = None
    subject: str | None = None


class EventDraft(msgspec.Struct, frozen=True):
    """A task event before it is signed; `payload` in field order, `kind` as `TASK_CREATED`."""

    kind: str
    task_id: str
    payload: dict[str, Json]
    created_at: int


class Change(msgspec.Struct, frozen=True):
    """What a decision wants written, in one transaction: whole rows to upsert and events to append."""

    run: Run | None = None
    steps: tuple[Step, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    run_events: tuple[RunEvent, ...] = ()
    task_events: tuple[EventDraft, ...] = ()
