"""The deadline of one call: it stops the task that runs an author's function, and knows afterwards that it did."""

from __future__ import annotations

import asyncio
from typing import Final

#: A function that swallows its cancellation is told again after this long.
AGAIN_S: Final = 1.0


class Deadline:
    """Cancels the current task once `timeout_s` has passed, and again until `lift` is called.

    A cancel scope or `asyncio.timeout` does the same for several times the price, on every call.
    """

    __slots__ = ("_before", "_strikes", "_task", "_timer")

    def __init__(self, timeout_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._task: asyncio.Task[object] = task
        self._before = task.cancelling()
        self._strikes = 0
        self._timer = task.get_loop().call_later(timeout_s, self._strike)

    @property
    def passed(self) -> bool:
        """Whether it has stopped the task."""
        return self._strikes > 0

    @property
    def stopped_from_outside(self) -> bool:
        """Whether somebody else has asked the task to stop meanwhile."""
        return self._task.cancelling() - self._strikes > self._before

    def lift(self) -> None:
        """The call has ended: what was asked of the task is taken back."""
        self._timer.cancel()
        for _ in range(self._strikes):
            self._task.uncancel()

    def _strike(self) -> None:
        self._strikes += 1
        self._task.cancel()
        self._timer = self._task.get_loop().call_later(AGAIN_S, self._strike)
