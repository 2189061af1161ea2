"""Live work: what runs in this process now, who waits for it here, and how long it lingers when nobody does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeAlias

from executor_sdk.cancelling import Stop
from executor_sdk.errors import TaskCancelled
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Key, State, Work

#: Called in the thread that reports, with the work's key, how far it is (0 to 1), the handler's note, and the JSON of a
#: partial output where one is reported, else None. What it returns, if anything, is the reason for which the work is
#: cancelled there and then.
Observer: TypeAlias = Callable[[Key, float, str, bytes | None], str | None]


class LiveWork:
    """One piece of work in this process: its waiters, its linger, its cancellation. It stores nothing."""

    __slots__ = (
        "_lapsed",
        "_loop",
        "_observer",
        "_thread_id",
        "_timer",
        "_waiters",
        "asked_elsewhere",
        "cancel_reason",
        "cut_as",
        "ended",
        "key",
        "linger_s",
        "note",
        "partial_output",
        "progressed",
        "rest",
        "stop",
        "work_id",
    )

    def __init__(
        self,
        work_id: str,
        key: Key,
        *,
        linger_s: float,
        lapsed: Callable[[LiveWork], None],
        observer: Observer | None = None,
    ) -> None:
        self.work_id = work_id
        #: The ask that opened it.
        self.key = key
        self.linger_s = linger_s
        self.cancel_reason: str | None = None
        #: How it ends if it is cut: CANCELLED, or LOST by a drain.
        self.cut_as = State.CANCELLED
        #: How it ended, once that is written down.
        self.ended: Work | None = None
        #: How often other processes have begun to wait for it, at the last look.
        self.asked_elsewhere = 0
        self.progressed = 0.0
        self.note = ""
        #: The output as far as its handler last said that it is known, as JSON; no more than an output may have.
        self.partial_output: bytes | None = None
        #: Stops the task that does the work; None before it begins, and once it only writes down the end.
        self.stop: Stop | None = None
        #: Done when the threads have returned that the handler left behind; None if it left none.
        self.rest: asyncio.Future[list[None]] | None = None
        self._lapsed = lapsed
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: dict[asyncio.Future[Work | None], Key] = {}

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it in this process."""
        return bool(self._waiters)

    @property
    def busy(self) -> bool:
        """Whether a thread of its handler still runs."""
        return self.rest is not None and not self.rest.done()

    async def wait(self, key: Key, presence: Presence[Work]) -> Work | None:
        """The ended work, or None once the caller is gone. While anybody waits the work does not lapse."""
        waiter: asyncio.Future[Work | None] = self._loop.create_future()
        self._waiters[waiter] = key
        self._stop_timer()
        try:
            return await presence.wait(waiter)
        finally:
            del self._waiters[waiter]
            if not self._waiters and self.ended is None:
                self.linger()

    def linger(self) -> None:
        """Nobody waits here: ask again after the linger time whether the work is wanted at all."""
        self._stop_timer()
        self._timer = self._loop.call_later(self.linger_s, self._lapsed, self)

    def dismiss(self, key: Key | None = None) -> None:
        """Send away those who wait on behalf of one ask, or all: they must look again into the ledger."""
        if key is None:
            self._stop_timer()
        for waiter, wanted in self._waiters.items():
            if key in {None, wanted} and not waiter.done():
                waiter.set_result(None)

    def finish(self, work: Work) -> None:
        """Give everybody who waits the ended work."""
        self.ended = work
        self._stop_timer()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(work)

    def cancel(self, reason: str, *, cut_as: State = State.CANCELLED) -> None:
        """Ask the handler to stop: plain code at its next progress, asynchronous code at its next await.

        May be called from any thread.
        """
        if self.cancel_reason is not None:
            return
        self.cut_as = cut_as
        self.cancel_reason = reason
        if threading.get_ident() == self._thread_id:
            self._strike()
        else:
            self._loop.call_soon_threadsafe(self._strike)

    def progress(self, fraction: float, note: str) -> None:
        """Note how far the handler is, in whichever thread it runs.

        Raises:
            TaskCancelled: the work is no longer wanted.
        """
        self.progressed = fraction
        self.note = note
        self._told(None)

    def partial(self, output: bytes) -> None:
        """Keep the last output that is not the whole yet, in whichever thread the handler runs.

        Raises:
            TaskCancelled: the work is no longer wanted.
        """
        self.partial_output = output
        self._told(output)

    def cancelled(self) -> bool:
        """Whether the work is no longer wanted."""
        return self.cancel_reason is not None

    @property
    def worker(self) -> asyncio.Task[object] | None:
        """The task that does the work; None before it begins, and once it only writes down the end."""
        return None if self.stop is None else self.stop.task

    def _told(self, partial: bytes | None) -> None:
        if self._observer is not None:
            reason = self._observer(self.key, self.progressed, self.note, partial)
            if reason is not None:
                self.cancel(reason)
        if self.cancel_reason is not None:
            raise TaskCancelled

    def _strike(self) -> None:
        if self.stop is not None:
            self.stop.strike()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
