"""What goes into the executions and what comes out: how new work would be done, within which bounds, and the reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec

from executor_sdk.executions.admission import Lane
from executor_sdk.executions.live import LiveWork
from executor_sdk.executions.record import Key, Outcome


class How(StrEnum):
    """How an ask came by its answer."""

    OPENED = "opened"
    JOINED = "joined"
    REPLAYED = "replayed"


class Plan(msgspec.Struct, frozen=True, gc=False):
    """How new work would be done; not looked at when there is work already."""

    lane: Lane
    #: How long the work goes on when nobody waits for it.
    linger_s: float
    #: Does the work and says what everybody is answered. What it raises counts as a crash.
    perform: Callable[[LiveWork], Awaitable[Outcome]]
    #: What the plan holds of the request, in bytes.
    size_bytes: int = 0
    #: What kind of task it does, for the record; None for other work.
    task_type: str | None = None


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The outcome for one ask; without a key if the ledger never heard of it."""

    key: Key | None
    outcome: Outcome
    how: How = How.OPENED


class WorkBounds(msgspec.Struct, frozen=True):
    """How much may be under way at once in one process."""

    slots: int
    queue: int
    #: Copies and attempts that wait for work, and bytes of the requests that they hold meanwhile.
    waiting: int = 4_096
    waiting_bytes: int = 16 * 1024 * 1024
