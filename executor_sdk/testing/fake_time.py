"""A clock for tests that skips what nobody works in: an hour of waiting passes at once, and by itself."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, TypeVar, TypeVarTuple

from anyio._backends._asyncio import WorkerThread

from executor_sdk.executions.clocks import SteadyClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class FakeTime:
    """Time that jumps to the next timer of the event loop whenever nothing else can happen.

    It is the time of asyncio and of the kit: `asyncio.sleep`, timeouts, deadlines, `task.remaining_s()`, pauses between
    retries. As long as a thread works (a plain `def`, `asyncio.to_thread`) or a socket is open in the loop, time passes
    really, and so it does for `time.time()`, `time.sleep()`, threads that the code under test starts by itself, and
    between two calls of a test.
    """

    def __init__(self) -> None:
        #: Seconds that were skipped so far.
        self.skipped_s = 0.0
        self._epoch_ms: Final = SteadyClock()
        self._asked = 0

    def now_s(self) -> float:
        """Seconds of the clock of event loops, which only differences have a meaning of."""
        return monotonic() + self.skipped_s

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self._epoch_ms() + int(self.skipped_s * 1000)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """What `main` returns, run to its end in an event loop of this time, as `asyncio.run` does."""
        with asyncio.Runner(loop_factory=self.new_loop) as runner, self.passing():
            return runner.run(main)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop of this time."""
        return _Loop(self)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """While this is open, somebody waits, and waiting is skipped."""
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1

    @property
    def is_passing(self) -> bool:
        """Whether somebody waits."""
        return self._asked > 0


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, time: FakeTime) -> None:
        self._fake_time = time
        self._busy_threads = 0
        super().__init__(_Selector(time, self.works_outside))

    def time(self) -> float:
        return self._fake_time.now_s()

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._busy_threads += 1
        future.add_done_callback(self._returned)
        return future

    def works_outside(self) -> bool:
        """Whether a thread works from which this loop will hear."""
        return self._busy_threads > 0 or any(_works_for(self, thread) for thread in threading.enumerate())

    def _returned(self, _: object) -> None:
        self._busy_threads -= 1


def _works_for(loop: _Loop, thread: threading.Thread) -> bool:
    """Whether a thread of anyio, which tells nobody of it, is at work."""
    return (
        isinstance(thread, WorkerThread)
        and thread.loop is loop
        and thread in thread.workers
        and thread not in thread.idle_workers
    )


class _Selector(selectors.DefaultSelector):
    def __init__(self, time: FakeTime, works_outside: Callable[[], bool]) -> None:
        super().__init__()
        self._time = time
        self._works_outside = works_outside

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or not self._time.is_passing:
            return super().select(timeout)
        # One entry is the loop's own, by which threads wake it.
        if len(self.get_map()) > 1 or self._works_outside():
            return super().select(timeout)
        if not (ready := super().select(0)):
            self._time.skipped_s += timeout
        return ready
