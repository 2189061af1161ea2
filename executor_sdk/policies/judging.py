"""Judging beside the event loop: what would keep the loop waiting is done in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread

from executor_sdk.errors import SaturatedError
from executor_sdk.policies.schemas import is_costly

T = TypeVar("T")

#: Requests that may wait for the thread; each takes it for a fifth of a second at most.
MAX_WAITING: Final = 64


class Judging:
    """One thread for costly checks. A check holds Python's lock all the while, so more threads would gain nothing; but
    between two checks the loop comes to its turn."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._limiter = CapacityLimiter(1)
        self._max_waiting = max_waiting

    @property
    def waiting(self) -> int:
        """Requests that wait for the thread."""
        return self._limiter.statistics().tasks_waiting

    async def run(self, check: Callable[[], T], schema: bytes, size_bytes: int) -> T:
        """What `check` returns, which checks a value of `size_bytes` against the text `schema`; 0 where it only
        compiles it.

        Raises:
            SaturatedError: too many wait already.
        """
        return await self.beside(check) if is_costly(schema, size_bytes) else check()

    async def beside(self, check: Callable[[], T]) -> T:
        """What `check` returns, which takes long whatever the schema.

        Raises:
            SaturatedError: too many wait already.
        """
        if self.waiting >= self._max_waiting:
            raise SaturatedError(
                f"{self._max_waiting} large bodies or costly schemas wait to be checked; ask again later"
            )
        return await to_thread.run_sync(check, limiter=self._limiter)
