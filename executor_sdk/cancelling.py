"""Stopping one asyncio task: cancel it, put that off, know afterwards who did; and alarms that share one timer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol


class Stop:
    """Cancels one task, and keeps apart what it did from what others did to the same task.

    The one primitive of deadlines, stalled bodies, cancelled work and drains. A cancel scope or `asyncio.timeout` does
    the same for several times the price, on every call.
    """

    __slots__ = ("_before", "strikes", "task")

    def __init__(self, task: asyncio.Task[object] | None = None) -> None:
        task = asyncio.current_task() if task is None else task
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self.task: asyncio.Task[object] = task
        self._before = task.cancelling()
        #: How often this object has cancelled the task and not taken it back.
        self.strikes = 0

    @property
    def from_outside(self) -> bool:
        """Whether somebody else has asked the task to stop since this object was made."""
        return self.task.cancelling() - self.strikes > self._before

    def strike(self, *, at_once: bool = False) -> None:
        """Cancel the task; unless it is to be `at_once`, after the blocks of a `Hold` on the task."""
        hold = None if at_once else _holds.get(self.task)
        if hold is not None and hold.puts_off(self):
            return
        self.strikes += 1
        self.task.cancel()

    def take_back(self) -> None:
        """The task goes on: what this object asked of it no longer counts."""
        while self.strikes:
            self.strikes -= 1
            self.task.uncancel()


class Hold:
    """Puts off the stops of one task while blocks are open that must not be interrupted; each for so many seconds.

    Blocks may be nested, or open in several tasks and threads at once. A stop waits for the last of them to end, or to
    have no time left; a block that begins meanwhile adds no time. Only stops wait: what cancels the task itself, as an
    event loop that ends or a task group that fails, interrupts the blocks too.
    """

    __slots__ = ("_clock", "_dissolved", "_ends_s", "_lock", "_loop", "_overdue", "_task", "_timer", "_waiting")

    def __init__(
        self,
        task: asyncio.Task[object] | None,
        overdue: Callable[[], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`task` is held, if there is one; `overdue` is called before a stop interrupts a block whose time is over.

        `clock` tells seconds in any thread, as the time of an event loop that sleeps does not.
        """
        self._task = task
        self._clock = clock
        self._loop = None if task is None else task.get_loop()
        self._overdue = overdue
        self._lock = threading.Lock()
        #: When the open blocks have no time left.
        self._ends_s: list[float] = []
        self._waiting: dict[Stop, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._dissolved = False

    @property
    def left_s(self) -> float:
        """Seconds for which no stop interrupts; 0 where no block is open."""
        return max(0.0, max((end_s - self._clock() for end_s in self._ends_s), default=0.0))

    def enter(self, seconds: float) -> float:
        """A block begins, in any thread; what to say when it ends."""
        with self._lock:
            end_s = self._clock() + seconds
            if self._waiting:
                end_s = min(end_s, max(self._ends_s, default=end_s))
            self._ends_s.append(end_s)
            if self._task is not None and not self._dissolved:
                _holds[self._task] = self
        return end_s

    def leave(self, end_s: float) -> bool:
        """A block ends, in any thread; whether it was the last one, and a stop has waited for that.

        The stop strikes now, or out of a thread as soon as the loop can.
        """
        with self._lock:
            self._ends_s.remove(end_s)
            if not self._ends_s and self._task is not None:
                # Also of a thread that has outlived the task: then nobody dissolves this hold.
                _holds.pop(self._task, None)
            if not self._waiting or self._loop is None:
                return False
            is_last = not self._ends_s
        if _running_loop() is self._loop:
            self._look()
        else:
            self._loop.call_soon_threadsafe(self._look)
        return is_last

    def puts_off(self, stop: Stop) -> bool:
        """Called in the loop: whether `stop` waits."""
        with self._lock:
            if not (left_s := self.left_s):
                return False
            self._waiting[stop] = None
            if self._timer is None and self._loop is not None:
                self._timer = self._loop.call_later(left_s, self._look)
            return True

    def dissolve(self) -> None:
        """Called in the loop when what was held has ended: stops that still wait are forgotten."""
        with self._lock:
            self._dissolved = True
            self._waiting.clear()
            if self._task is not None:
                _holds.pop(self._task, None)
        self._stop_timer()

    def _look(self) -> None:
        """Called in the loop when a block has ended, or should have: what waits strikes, if that was the last block."""
        self._stop_timer()
        with self._lock:
            if self._waiting and self._loop is not None and (left_s := self.left_s):
                self._timer = self._loop.call_later(left_s, self._look)
                return
            waiting, self._waiting = self._waiting, {}
        if waiting and self._ends_s:
            self._overdue()
        for stop in waiting:
            stop.strike(at_once=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


#: The holds on tasks with an open block; nearly no task has one.
_holds: Final[dict[asyncio.Task[object], Hold]] = {}


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


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
