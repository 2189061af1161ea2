"""The shield of a task: a block that neither a deadline nor a cancel interrupts, for a time that is bounded."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from executor_sdk.authoring.encoding import named
from executor_sdk.cancelling import Hold
from executor_sdk.errors import TaskCancelled
from executor_sdk.misuse import MisuseError

#: Seconds that a block may take where its author does not say: half of what running work gets when a server stops.
SHIELD_S: Final = 10.0


class Shield:
    """One block, as `async with task.shield():` in an `async def` and `with task.shield():` in a plain `def`."""

    __slots__ = ("_cancelled", "_end_s", "_hold", "_seconds")

    def __init__(self, hold: Hold, cancelled: Callable[[], bool], seconds: float) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, float | int):
            raise MisuseError(f"a shield takes a number of seconds, not {named(seconds)}; write task.shield(seconds=5)")
        if not 0 < seconds < math.inf:
            raise MisuseError(f"a shield has a longest time above 0, not {seconds} s; write task.shield(seconds=5)")
        self._hold = hold
        self._cancelled = cancelled
        self._seconds = seconds
        self._end_s = 0.0

    def __enter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._end_s = self._hold.enter(self._seconds)
            return self
        raise MisuseError("what was put off can only stop an `async def` at an await; write async with task.shield():")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        is_due = self._hold.leave(self._end_s)
        if kind is None and (is_due or self._is_unwanted):
            # The caller is answered already, or soon; the thread stops here, and not in the middle of what comes next.
            raise TaskCancelled

    async def __aenter__(self) -> Self:
        if self._is_unwanted:
            # A cancel out of the handler's own `progress` is still on its way, and was told there: it must not hit the
            # block. What is put off here is raised at the end.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        self._end_s = self._hold.enter(self._seconds)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        is_due = self._hold.leave(self._end_s)
        if is_due and (kind is None or issubclass(kind, Exception)):
            # Here the task hears that it was cancelled, and not at some await after the block. Also in place of an
            # error: nobody is left to call the function again.
            await asyncio.sleep(0)
        if kind is None and self._is_unwanted:
            raise TaskCancelled

    @property
    def _is_unwanted(self) -> bool:
        """Whether the work is not wanted, and no block around this one keeps that off."""
        return not self._hold.left_s and self._cancelled()
