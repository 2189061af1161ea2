"""What a decision is made over: a run with all its steps, or one step with what it needs to know of the others."""

from __future__ import annotations

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
    """What a step's attempt needs in order to go on; its cost does not grow with the run."""

    run: Run
    step: Step
    #: The step's current attempt, if it was ever claimed.
    attempt: Attempt | None
    #: The signed events of the attempt's task, oldest first.
    task_events: tuple[Json, ...]


class EndingState(StepState, frozen=True):
    """What a decision needs that may end the step: with the last step of a run, the round ends too."""

    #: The whole run, where every other step of it has ended; None while others are active.
    last_of: RunState | None


class Lease(msgspec.Struct, frozen=True):
    """The right to change a step: the worker `owner` has it as long as the store knows `holder` to be alive."""

    lease_id: str
    owner: str
    holder: str
