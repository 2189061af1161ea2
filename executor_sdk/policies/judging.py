"""Judging beside the event loop: what would keep the loop waiting is done in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from executor_sdk.errors import SaturatedError
from executor_sdk.policies.schemas import is_costly

T = TypeVar("T")


class Judging:
    """One thread for costly checks. A check holds Python's lock all the while, so more threads would gain nothing; but
    between two checks the loop comes to its turn."""

    def __init__(self, *, max_waiting: int, max_bytes: int) -> None:
        """At most `max_waiting` requests wait, each for a fifth of a second at most for each before it; and together
        with the one in the thread they hold at most `max_bytes`, or are one alone."""
        self._limiter = CapacityLimiter(1)
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._held_bytes = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for the thread."""
        return self._limiter.statistics().tasks_waiting

    async def run(self, check: Callable[[], T], schema: bytes, size_bytes: int, held_bytes: int) -> T:
        """What `check` returns, which checks a value of `size_bytes` against the text `schema` (0 where it only
        compiles it) and holds a request of `held_bytes` meanwhile.

        Raises:
            SaturatedError: too many wait already, or hold too much.
        """
        return await self.beside(check, held_bytes) if is_costly(schema, size_bytes) else check()

    async def beside(self, check: Callable[[], T], held_bytes: int) -> T:
        """What `check` returns, which takes long whatever the schema, and holds a request of `held_bytes` meanwhile.

        Raises:
            SaturatedError: too many wait already, or hold too much.
        """
        if self.waiting >= self._max_waiting:
            raise SaturatedError(
                f"{self._max_waiting} large bodies or costly schemas wait to be checked; ask again later"
            )
        if self._held_bytes and self._held_bytes + held_bytes > self._max_bytes:
            raise SaturatedError(f"what waits to be checked already holds {self._held_bytes} bytes; ask again later")
        self._held_bytes += held_bytes
        try:
            return await to_thread.run_sync(check, limiter=self._limiter)
        finally:
            self._held_bytes -= held_bytes
