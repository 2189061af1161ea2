"""The store's port: load, think, save in one transaction, and the reads that the API shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import anyio

from kernel_stub.rules.records import Change, ExecutorEntry, Run, RunEvent, Step
from kernel_stub.rules.states import RunState, StepState

__all__ = ["DeadLetter", "RunState", "StepState", "Store"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A step that can never succeed as it stands, and why."""

    step: Step
    reason: str


class Store(Protocol):
    """Where a kernel keeps runs, steps, attempts, executors and the event log.

    `think` is pure and synchronous: it may run in another thread, and what it raises passes to the caller with
    nothing written. Two changes never interleave, in whichever process they are made.
    """

    @property
    def changed(self) -> anyio.Event:
        """Set by the next change in this process that made a step due; take it before looking for work."""
        ...

    async def change_run(self, run_id: str, think: Callable[[RunState], Change]) -> Change:
        """Load the run, think, save."""
        ...

    async def change_step(self, step_id: str, think: Callable[[StepState], Change]) -> Change:
        """Load the step with its run and attempt, think, save.

        Raises:
            StepNotFoundError: no step has this id.
        """
        ...

    async def claim(
        self, *, owner: str, limit: int, now_ms: int, lease_ms: int, max_recoveries: int = 10
    ) -> list[StepState]:
        """Lease up to `limit` due steps, and resume those whose lease has expired."""
        ...

    async def renew(self, leases: Mapping[str, str], until_ms: int) -> frozenset[str]:
        """Hold steps longer, given as step id to lease id; returns those that must be let go.

        A step must be let go when it is held under another lease, or when its run is being cancelled.
        """
        ...

    async def release(self, leases: Mapping[str, str]) -> None:
        """Hand steps back whose work has not ended: the next claim resumes them at once."""
        ...

    async def run(self, run_id: str) -> Run | None: ...

    async def runs(self, *, limit: int) -> list[Run]:
        """The newest runs first."""
        ...

    async def steps(self, run_id: str) -> tuple[Step, ...]:
        """Priority descending, then step id."""
        ...

    async def step_among(self, step_ids: Sequence[str]) -> str | None:
        """One of these ids that is a step's; None if none is."""
        ...

    async def counts(self, run_id: str) -> dict[str, int]:
        """How many steps are in each state, by its lower-case name, in the documented order."""
        ...

    async def run_events(
        self, run_id: str, *, limit: int, after_id: int = 0, newest_first: bool = True
    ) -> list[RunEvent]:
        """Events of one run with an id above `after_id`; none for an unknown run."""
        ...

    async def executors(self) -> list[ExecutorEntry]:
        """By name."""
        ...

    async def executor(self, name: str) -> ExecutorEntry | None: ...

    async def put_executor(self, entry: ExecutorEntry) -> None:
        """Add the entry, or replace the one of its name."""
        ...

    async def remove_executor(self, name: str) -> bool: ...

    async def log_head(self) -> int:
        """The sequence number of the last signed event that was ever appended; 0 for an empty log."""
        ...

    async def log_page(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Signed events as (sequence number, bytes), in order."""
        ...

    async def succeeded_steps(self, *, after: str, limit: int) -> list[Step]:
        """Steps of all runs that ended with a result, by id."""
        ...

    async def dead_letters(self, *, limit: int) -> list[DeadLetter]:
        """Failed steps, the newest first; one that was re-queued since is no dead letter any more."""
        ...

    async def close(self) -> None: ...
