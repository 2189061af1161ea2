"""Disconnects: seeing that a caller hung up while its answer is being made."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Receive

from executor_sdk.cancelling import Alarms
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Work

#: Most answers are ready before this, and then no watch was ever set up.
WATCH_AFTER_S: Final = 0.005

#: Turns of the loop from a closed connection to the watch: the socket, the server's flag, and what stands between, of
#: which each middleware takes a few.
LAST_LOOKS: Final = 20


class Watch:
    """Watches one caller from shortly after its request until its answer is out."""

    __slots__ = ("_alarms", "_receive", "_task", "presence")

    def __init__(self, receive: Receive, alarms: Alarms) -> None:
        self.presence: Presence[Work] = Presence()
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self._alarms = alarms
        alarms.set(self)

    async def hung_up(self) -> bool:
        """Whether the caller is gone, after a last look at what the network has told meanwhile.

        For servers whose connections cannot be looked at later: an answer sent to a caller that has just hung up would
        count as heard.
        """
        if self._task is None:
            self._alarms.clear(self)
            self.ring()
        for _ in range(LAST_LOOKS):
            if self.presence.gone:
                break
            await asyncio.sleep(0)
        return self.presence.gone

    def ring(self) -> None:
        """The answer takes its time: watch from now on."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """The answer is out, or nobody waits for it."""
        self._alarms.clear(self)
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        # The body has come whole, so anything but a disconnect is noise.
        while (await self._receive())["type"] != "http.disconnect":  # noqa: ASYNC110 - nothing is polled
            # A server that says the same again and again must not hold up the loop.
            await asyncio.sleep(0)
        self.presence.leave()
