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

#: Turns of the loop from a closed connection to the server's flag: the socket, then the protocol. One more, where the
#: watch has to hear of it.
LAST_LOOKS: Final = 2


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
        if self.presence.gone:
            return True
        for _ in range(LAST_LOOKS):
            await asyncio.sleep(0)
        if self._task is not None:
            await asyncio.sleep(0)
        elif _has_word(self._receive):
            self.presence.leave()
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


def _has_word(receive: Receive) -> bool:
    """Whether the server has something to say right now; with the body there, that can only be a disconnect."""
    word = receive()
    send, close = getattr(word, "send", None), getattr(word, "close", None)
    if send is None or close is None:
        # An awaitable that cannot be asked without waiting; the watch would have heard what it says.
        return False
    try:
        # One step within this task: a coroutine that has to wait says so by yielding, and is dropped.
        send(None)
    except StopIteration as said:
        return bool(said.value["type"] == "http.disconnect")
    close()
    return False
