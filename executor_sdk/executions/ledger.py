"""The port of the ledger: the facts of asks and work, each method atomic. It has no tasks and knows no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from executor_sdk.errors import TaskError
from executor_sdk.executions.record import Ask, Keep, Key, Outcome, State, Work


class LedgerError(TaskError):
    """The ledger of this executor cannot be read or written now."""

    status_code = 503
    code = "LEDGER_FAILED"


class Ledger(Protocol):
    """What a store of executions must do; `tests/executor_sdk/executions/ledger_contract.py` says it in tests."""

    @property
    def shared(self) -> bool:
        """Whether other processes may have it open too, so that owners must show that they live."""

    async def join(self, ask: Ask) -> Work | None:
        """The work that `ask` belongs to: its own from before, or that of an earlier attempt, which it then adopts.

        None when new work must be opened: the ask is unknown, or its work was cut without ever starting for it.

        Raises:
            BodyDiffersError: the key came before with another body.
            TaskLostError: this ask was cancelled by name.
        """

    async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
        """Join as above, or else record `new` for `ask`; true if it was recorded.

        Raises:
            BodyDiffersError: the key came before with another body.
        """

    async def find(self, key: Key) -> Work | None:
        """The work of the ask known by `key`."""

    async def start(self, work_id: str, owner: str, now_ms: int) -> bool:
        """Record that queued work runs now; false if it is no longer queued, or not the owner's."""

    async def end(
        self, work_id: str, owner: str, state: State, outcome: Outcome | None, now_ms: int, *, reason: str | None = None
    ) -> Work | None:
        """Record how work ended, if it was cut why, and return it as it stands.

        The first end wins, and only the owner's counts.
        """

    async def answered(self, key: Key, now_ms: int) -> None:
        """Record that the whole answer went out to this ask; from now on no later attempt adopts its work."""

    async def want(self, key: Key, until_ms: int) -> Work | None:
        """Record that somebody still waits for this ask; renewed by whoever waits outside the owner's process."""

    async def withdraw(self, key: Key, reason: str) -> Work | None:
        """Cancel one ask. Its work gets the reason when no other ask is left that still wants it."""

    async def beat(self, owner: str, seen: Mapping[str, tuple[float, str]], now_ms: int) -> Sequence[Work]:
        """Tell that `owner` lives, write the progress of its work, and return that work with wants and cancels."""

    async def bury(self, silent_since_ms: int, now_ms: int) -> int:
        """End as LOST the work of owners that have not been heard of since; returns how much there was."""

    async def page(self, after: str, limit: int) -> Sequence[Work]:
        """Work in the order of its opening, after the one with id `after` ("" for the first)."""

    async def prune(self, keep: Keep, now_ms: int) -> int:
        """Forget the oldest finished work beyond `keep`, with its asks; returns how much."""

    async def close(self) -> None:
        """Release what the store holds."""
