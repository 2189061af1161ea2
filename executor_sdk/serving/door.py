"""The door of a server: how many connections are let in, and which one has to go when there are too many."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass
from typing import Final, Protocol

from executor_sdk.serving.refusals import Render, executor_body

#: Seconds between two looks at all connections; every time limit is kept within this much.
LOOK_S: Final = 0.5

#: Header fields of one head. A field costs some 170 bytes of memory, however few bytes were sent for it.
MAX_FIELDS: Final = 128

#: Bytes that are parsed before the bounds are looked at: what they can hold at the most is held for a moment.
PIECE_BYTES: Final = 16 * 1024

#: Requests that may wait behind the one that is worked on, on one connection.
MAX_PIPELINED: Final = 16

#: Connections that wait to be accepted. Python's own loop tries as many accepts, and logs each, every second while the
#: process can open no file.
MAX_BACKLOG: Final = 256

#: Seconds that a refused client gets to read the refusal: closing earlier would reset the connection under it.
LINGER_S: Final = 2.0

#: Refused clients that get this time at once.
MAX_LINGERING: Final = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """What strangers may take of a server before they are answered."""

    #: Connections at once; fewer where the process may not open so many files.
    max_connections: int = 1_000
    #: Bytes of a request's first line and header fields.
    max_head_bytes: int = 32 * 1024
    #: Seconds in which a head must come, from its first byte on; and in which a new connection must send that byte.
    head_timeout_s: float = 10.0
    #: Seconds for which a client may leave the rest of an answer untaken.
    answer_timeout_s: float = 30.0


class Guest(Protocol):
    """A connection as the door sees it."""

    def look(self, now: float) -> None:
        """End what waits for too long; `now` by the loop's clock."""

    def make_room(self) -> None:
        """Close, for a newcomer."""

    def turn_away(self) -> None:
        """Refuse the newcomer, because everyone else is busy."""


class Door:
    """Keeps count of the connections of one server, and looks at all of them now and then: no timer for each."""

    def __init__(self, bounds: Bounds = Bounds(), render: Render = executor_body) -> None:
        self.bounds = bounds
        self.render = render
        self.max_connections, self.backlog = _shares(bounds.max_connections)
        #: Connections without a request in progress; the one that has idled longest comes first.
        self.idle: dict[Guest, None] = {}
        #: Refused clients that still may read why.
        self.lingering: set[Guest] = set()
        self._present: set[Guest] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, guest: Guest, total: int, loop: asyncio.AbstractEventLoop) -> None:
        """Accept a connection, now one of `total`; beyond the limit the one that is idle longest is closed."""
        self._present.add(guest)
        self.idle[guest] = None
        if self._timer is None:
            self._timer = loop.call_later(LOOK_S, self._look, loop)
        if total - len(self.lingering) > self.max_connections:
            longest = next(iter(self.idle))
            if longest is guest:
                guest.turn_away()
            else:
                longest.make_room()

    def leave(self, guest: Guest) -> None:
        """Forget a connection that is gone."""
        self._present.discard(guest)
        self.lingering.discard(guest)
        self.idle.pop(guest, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(LOOK_S, self._look, loop) if self._present else None
        now = loop.time()
        for guest in tuple(self._present):
            guest.look(now)


def _shares(wanted: int) -> tuple[int, int]:
    """Connections and backlog: two thirds of the files that this process may open at the most, and half of the rest.

    A backlog is accepted at once, before any other connection could be closed. What remains is for files and calls.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return wanted, MAX_BACKLOG
    connections = max(1, min(wanted, files * 2 // 3))
    return connections, max(8, min(MAX_BACKLOG, (files - connections) // 2))
