"""The deadline of one call: it stops the task that runs an author's function, and knows afterwards that it did."""

from __future__ import annotations

import asyncio
from typing import Final

from executor_sdk.cancelling import Alarms, Stop

#: A function that swallows its cancellation is told again after this long.
AGAIN_S: Final = 1.0


class Deadline:
    """Cancels the current task once the time of `alarms` has passed, and again until `lift` is called."""

    __slots__ = ("_again", "_alarms", "_stop")

    def __init__(self, alarms: Alarms) -> None:
        self._stop = Stop()
        self._alarms = alarms
        self._again: asyncio.TimerHandle | None = None
        alarms.set(self)

    @property
    def passed(self) -> bool:
        """Whether it has stopped the task."""
        return self._stop.strikes > 0

    @property
    def stopped_from_outside(self) -> bool:
        """Whether somebody else has asked the task to stop meanwhile."""
        return self._stop.from_outside

    def ring(self) -> None:
        """The time is over."""
        self._stop.strike()
        self._again = asyncio.get_running_loop().call_later(AGAIN_S, self.ring)

    def lift(self) -> None:
        """The call has ended: what was asked of the task is taken back."""
        self._alarms.clear(self)
        if self._again is not None:
            self._again.cancel()
        self._stop.take_back()
