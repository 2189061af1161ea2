"""The threads in which plain functions of authors run, so that none of them blocks the loop or starves others."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread

#: Where the work that runs now collects the threads that it leaves behind: each is done when its function returns.
left_behind: Final[ContextVar[list[asyncio.Future[None]]]] = ContextVar("left_behind")


class Threads:
    """At most `count` threads at once, apart from those that anyio shares among everybody."""

    def __init__(self, count: int) -> None:
        self._slots = anyio.CapacityLimiter(count)
        # anyio frees the slot of an abandoned thread at once, and stuck threads would pile up; so it counts nothing.
        self._uncounted = anyio.CapacityLimiter(math.inf)

    @property
    def busy(self) -> int:
        """Threads in use, those abandoned at a deadline among them."""
        return self._slots.statistics().borrowed_tokens

    async def run(self, function: Callable[..., Any], /, *positional: Any, **named: Any) -> Any:
        """Call `function` in a thread, with a copy of the caller's context variables.

        A thread cannot be stopped. Cancelled, this call returns at once and leaves the thread to itself; its slot is
        free again when the function returns, which the next `task.progress()` in it brings about. Until then it is in
        `left_behind`.
        """
        seat = _Seat(self._slots)
        await self._slots.acquire_on_behalf_of(seat)
        call = partial(seat.use, partial(function, *positional, **named))
        try:
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._uncounted)
        except asyncio.CancelledError:
            # In this order: a thread that begins between the two would be in nobody's list.
            seat.leave_unused()
            seat.leave_behind()
            raise
        finally:
            seat.leave_unused()


class _Seat:
    """One slot, held until the function ends or is certain never to begin."""

    def __init__(self, slots: anyio.CapacityLimiter) -> None:
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._taken = False
        self._ended = False
        self._returned: asyncio.Future[None] | None = None

    def use(self, call: Callable[[], Any]) -> Any:
        """Call in the thread, unless it was cancelled before it got there."""
        if not self._take():
            return None
        try:
            return call()
        finally:
            with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody counts any more
                self._loop.call_soon_threadsafe(self._release)

    def leave_unused(self) -> None:
        """Called in the loop, when it no longer waits: free the slot if the thread never took it."""
        if self._take():
            self._release()

    def leave_behind(self) -> None:
        """Called in the loop, when it no longer waits: say when the thread returns, if it runs."""
        if self._taken and not self._ended and (collected := left_behind.get(None)) is not None:
            self._returned = self._loop.create_future()
            collected.append(self._returned)

    def _release(self) -> None:
        self._ended = True
        self._slots.release_on_behalf_of(self)
        if self._returned is not None:
            self._returned.set_result(None)

    def _take(self) -> bool:
        with self._lock:
            first, self._taken = not self._taken, True
            return first
