"""What a decision is made over: a run with all its steps, or one step with what it needs to know of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.records import Attempt, Run, RunEvent, Step


class RunState(msgspec.Struct, frozen=True):
    """Everything a decision about a whole run needs; `run` is None while no run has this id."""

    run: Run | None
    #: Priority descending, then step id.
    steps: tuple[Step, ...] = ()
    #: The run's earlier re-explore events, oldest first.
    reexplores: tuple[RunEvent, ...] = ()


class StepState(msgspec.Struct, frozen=True):
    """Everything a decision about one step needs; its cost does not grow with the run."""

    run: Run
    step: Step
    #: The step's current attempt, if it was ever claimed.
    attempt: Attempt | None
    #: How many other steps of the run have not ended yet.
    others_active: int
    #: Loads the whole run in the same transaction, for the decision that ends it.
    siblings: Callable[[], RunState]
    #: Loads the signed events of the attempt's task in the same transaction, oldest first.
    task_events: Callable[[], Sequence[Json]]


class Lease(msgspec.Struct, frozen=True):
    """The right to change a step: only the holder of `lease_id` may, until `until_ms`."""

    lease_id: str
    owner: str
    until_ms: int
