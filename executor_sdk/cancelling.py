"""Stopping one asyncio task: cancel it, know afterwards who did, take it back; and alarms that share one timer."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Stop:
    """Cancels one task, and keeps apart what it did from what others did to the same task.

    The one primitive of deadlines, stalled bodies, cancelled work and drains. A cancel scope or `asyncio.timeout` does
    the same for several times the price, on every call.
    """

    __slots__ = ("_before", "_task", "strikes")

    def __init__(self, task: asyncio.Task[object] | None = None) -> None:
        task = asyncio.current_task() if task is None else task
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._task: asyncio.Task[object] = task
        self._before = task.cancelling()
        #: How often this object has cancelled the task and not taken it back.
        self.strikes = 0

    @property
    def from_outside(self) -> bool:
        """Whether somebody else has asked the task to stop since this object was made."""
        return self._task.cancelling() - self.strikes > self._before

    def strike(self) -> None:
        """Cancel the task."""
        self.strikes += 1
        self._task.cancel()

    def take_back(self) -> None:
        """The task goes on: what this object asked of it no longer counts."""
        while self.strikes:
            self.strikes -= 1
            self._task.uncancel()


class Ringable(Protocol):
    """What an alarm can be set for; each object at most once at a time."""

    def ring(self) -> None:
        """Called in the event loop when the time is over."""


class Alarms:
    """Alarms of one length. They ring in the order in which they were set, so one timer serves all of them.

    Setting and clearing is a matter of a dict; `call_later` and its cancellation cost ten times as much.
    """

    __slots__ = ("_due", "_timer", "after_s")

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        #: By alarm, when it is due on the clock of the event loop.
        self._due: dict[Ringable, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, alarm: Ringable) -> None:
        """Ring `alarm` in `after_s` seconds."""
        loop = asyncio.get_running_loop()
        self._due[alarm] = loop.time() + self.after_s
        if self._timer is None:
            self._timer = loop.call_later(self.after_s, self._look, loop)

    def clear(self, alarm: Ringable) -> None:
        """Do not ring `alarm`; nothing happens if it has rung, or was never set."""
        self._due.pop(alarm, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ring what is due; look again when the oldest of the others is. A timer set for a cleared alarm ends here."""
        self._timer = None
        now = loop.time()
        for alarm, due in list(self._due.items()):
            if due > now:
                self._timer = loop.call_later(due - now, self._look, loop)
                return
            del self._due[alarm]
            alarm.ring()
