"""Disconnects: seeing that a caller hung up while its answer is being made."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Receive

from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Work

#: Most answers are ready before this, and then no watch was ever set up.
WATCH_AFTER_S: Final = 0.005

#: Turns of the loop from a closed connection to the watch that hears of it: the socket, the server's flag, the task.
LAST_LOOKS: Final = 3


class Watch:
    """Watches one caller from shortly after its request until its answer is out."""

    __slots__ = ("_receive", "_task", "_timer", "presence")

    def __init__(self, receive: Receive) -> None:
        self.presence: Presence[Work] = Presence()
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._start)

    async def hung_up(self) -> bool:
        """Whether the caller is gone, after a last look at what the network has told meanwhile.

        An answer sent to a caller that has just hung up would count as heard, and the next attempt would find no
        work to adopt. Answers made before the watch began need no such look.
        """
        if self._task is not None:
            for _ in range(LAST_LOOKS):
                await asyncio.sleep(0)
        return self.presence.gone

    def stop(self) -> None:
        """The answer is out, or nobody waits for it."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        # The body has come whole, so anything but a disconnect is noise.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.presence.leave()
