"""The port of the ledger: the facts of asks and work, each method atomic. It has no tasks and knows no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from executor_sdk.errors import SaturatedError, TaskError
from executor_sdk.executions.record import Ask, Keep, Key, Outcome, State, Work


class LedgerError(TaskError):
    """The ledger of this executor cannot be read or written now."""

    status_code = 503
    code = "LEDGER_FAILED"


class TooManyAsksError(SaturatedError):
    """This step's work has as many attempts as one work may have; ask again when it is forgotten."""


class StepBusyError(Exception):
    """New work would be needed, but a thread of the step's last work still runs. Told to nobody outside."""

    def __init__(self, work: Work) -> None:
        super().__init__(work.work_id)
        self.work = work


class Ledger(Protocol):
    """What a store of executions must do; `tests/executor_sdk/executions/ledger_contract.py` says it in tests."""

    @property
    def owner(self) -> str:
        """The name of this process in the records, never used before."""

    @property
    def shared(self) -> bool:
        """Whether other processes may have it open too."""

    @property
    def failure(self) -> str | None:
        """Why nothing can be recorded any more; None while all is well."""

    def now_ms(self) -> int:
        """Epoch milliseconds, equal in all processes that have it open; no change of a wall clock moves them."""

    async def prepare(self) -> None:
        """Open what must be open before the first request.

        Raises:
            LedgerError: it cannot be opened.
        """

    async def join(self, ask: Ask) -> Work | None:
        """The work that `ask` belongs to: its own from before, or that of an earlier attempt, which it then adopts.

        None when new work must be opened: the ask is unknown, or its work was cut without ever starting for it.

        Raises:
            BodyDiffersError: the key came before with another body.
            TaskLostError: this ask was cancelled by name.
            StepBusyError: new work must wait.
        """

    async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
        """Join as above, or else record `new` for `ask`; true if it was recorded. Raises as `join` does."""

    async def find(self, key: Key) -> Work | None:
        """The work of the ask known by `key`."""

    async def start(self, work_id: str, now_ms: int) -> bool:
        """Record that queued work of this process runs now; false if it is no longer queued."""

    async def end(
        self,
        work_id: str,
        state: State,
        outcome: Outcome | None,
        now_ms: int,
        *,
        reason: str | None = None,
        busy: bool = False,
    ) -> Work | None:
        """Record how work of this process ended, if it was cut why, and return it as it stands.

        The first end wins; what others held to be LOST, because they thought that this process had died, has not ended.
        """

    async def rest(self, work_id: str) -> None:
        """Record that no thread of this ended work runs any more."""

    async def answered(self, keys: Sequence[Key]) -> None:
        """Record that the whole answer went out to each of these asks, and that its caller was there."""

    async def turn_down(self, key: Key) -> None:
        """Record that the candidate of this ask was judged and not passed."""

    async def withdraw(self, key: Key, reason: str) -> Work | None:
        """Cancel one ask. Its work gets the reason when no other ask is left that still wants it."""

    async def wait_for(self, work_id: str) -> None:
        """Record that somebody in this process waits for work of another one."""

    async def leave(self, work_id: str) -> None:
        """Record that nobody in this process waits for it any more."""

    async def waiting_elsewhere(self, work_id: str) -> tuple[bool, int]:
        """Whether a living process other than the owner waits for this work, and how often one has begun to."""

    async def report(self, seen: Mapping[str, tuple[float, str]]) -> Sequence[Work]:
        """Write the progress of this process's work, and return what of it is to be cancelled."""

    async def bury(self, now_ms: int) -> int:
        """End as LOST the work of processes that have died; returns how much there was."""

    async def page(self, after: str, limit: int) -> Sequence[Work]:
        """Work in the order of its opening, after the one with id `after` ("" for the first)."""

    async def make_room(self, keep: Keep, now_ms: int) -> bool:
        """Forget the oldest finished work beyond `keep`; false if what must be kept leaves no room for new work."""

    async def close(self) -> None:
        """Release what the store holds."""
