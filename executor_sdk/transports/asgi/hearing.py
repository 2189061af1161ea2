"""Who has heard an answer: told a moment after the answer went out, by whether the connection is still there."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final, Protocol, TypeAlias

from starlette.types import Receive

from executor_sdk.errors import ExecutorError
from executor_sdk.executions.record import Key

#: A caller that is still connected after this time had it to read the answer. One that hung up before the answer was
#: there is gone by then, however quick the answer was: its closed socket has refused the bytes.
HEARD_AFTER_S: Final = 0.1

#: Seconds between two looks at the answers that wait: under load one look serves many of them.
LOOK_AGAIN_S: Final = 0.01

#: Answers that wait for this moment; with one more, the oldest is looked at now.
MAX_WAITING: Final = 8_192

#: Told of the asks whose answers were heard.
Heard: TypeAlias = Callable[[Sequence[Key]], Awaitable[None]]

logger = logging.getLogger(__name__)


class ServedConnection(Protocol):
    """What a server knows of one connection."""

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""


class Hearing:
    """Tells the executions which of their answers were heard.

    A caller that closes its connection at once counts as one that did not hear: its answer is kept longer, which costs
    memory; the other mistake would cost the work.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._waiting: deque[tuple[float, Key, ServedConnection]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._telling: set[asyncio.Task[None]] = set()

    def sent(self, key: Key, connection: ServedConnection) -> None:
        """The whole answer to the ask known by `key` was given to the network."""
        now = monotonic()
        self._waiting.append((now + HEARD_AFTER_S, key, connection))
        if len(self._waiting) > MAX_WAITING:
            self._tell([self._waiting.popleft()])
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HEARD_AFTER_S, self._look)

    async def flush(self) -> None:
        """The server stops: what can be told is told now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell(list(self._waiting))
        self._waiting.clear()
        if self._telling:
            await asyncio.wait(self._telling)

    def _look(self) -> None:
        now = monotonic()
        due: list[tuple[float, Key, ServedConnection]] = []
        while self._waiting and self._waiting[0][0] <= now:
            due.append(self._waiting.popleft())
        self._tell(due)
        self._timer = None
        if self._waiting:
            after_s = max(self._waiting[0][0] - now, LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(after_s, self._look)

    def _tell(self, sent: list[tuple[float, Key, ServedConnection]]) -> None:
        heard = [key for _, key, connection in sent if not connection.is_closing()]
        if heard:
            task = asyncio.get_running_loop().create_task(self._tell_all(heard))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell_all(self, heard: list[Key]) -> None:
        try:
            await self._heard(heard)
        except ExecutorError as error:
            logger.warning("%d answers that were heard count as not heard: %s", len(heard), error)


def connection_of(receive: Receive) -> ServedConnection | None:
    """The connection behind a request, where the server is uvicorn and nothing stands between; else None."""
    connection = getattr(getattr(receive, "__self__", None), "transport", None)
    return connection if hasattr(connection, "is_closing") else None
