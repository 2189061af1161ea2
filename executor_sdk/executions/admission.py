"""Admission: how much work runs at once, how much may wait for its turn, and who is next."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from executor_sdk.errors import SaturatedError


class Lane:
    """A share of the slots: the handler that takes them, and how many it may take at once (None: all)."""

    __slots__ = ("limit", "name")

    def __init__(self, name: str, limit: int | None = None) -> None:
        self.name = name
        self.limit = limit


class Ticket:
    """One place: in the queue until `slot` returns, in a slot from then on, free after `leave`."""

    __slots__ = ("_admission", "_turn", "holds_slot", "lane", "size_bytes")

    def __init__(self, admission: Admission, lane: Lane, size_bytes: int, turn: asyncio.Future[None] | None) -> None:
        self._admission: Admission | None = admission
        self._turn = turn
        self.lane = lane
        #: What the place in the queue holds of its request.
        self.size_bytes = size_bytes
        self.holds_slot = turn is None

    async def slot(self) -> None:
        """Wait for a slot; first come, first served within what the lanes allow."""
        if self._turn is not None:
            await self._turn

    def leave(self) -> None:
        """Give the place back; a second call does nothing."""
        if (admission := self._admission) is not None:
            self._admission = None
            admission.left(self)

    def call(self) -> None:
        """Tell it that it has a slot now, even if it no longer listens: then `leave` gives the slot back."""
        self.holds_slot = True
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


class Admission:
    """Slots, and a bounded queue before them."""

    def __init__(self, *, slots: int, queue: int) -> None:
        self._slots = slots
        self._queue = queue
        self._running = 0
        self._by_lane: Counter[str] = Counter()
        self._waiting: deque[Ticket] = deque()
        #: What those in the queue hold of their requests.
        self.waiting_bytes = 0

    @property
    def running(self) -> int:
        """Slots taken now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Places taken in the queue now."""
        return len(self._waiting)

    def has_room(self, lane: Lane) -> bool:
        """Whether `enter` would give a slot, or a place in the queue."""
        return len(self._waiting) < self._queue or self.has_slot(lane)

    def has_slot(self, lane: Lane) -> bool:
        """Whether `enter` would give a slot at once."""
        within_lane = lane.limit is None or self._by_lane[lane.name] < lane.limit
        return self._running < self._slots and within_lane

    def enter(self, lane: Lane, size_bytes: int = 0) -> Ticket:
        """Take a slot, or else a place in the queue, at once.

        Raises:
            SaturatedError: the queue is full too.
        """
        if self.has_slot(lane):
            self._take(lane)
            return Ticket(self, lane, size_bytes, None)
        if len(self._waiting) >= self._queue:
            raise SaturatedError(f"all slots are taken and {self._queue} tasks wait; ask again later")
        ticket = Ticket(self, lane, size_bytes, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        self.waiting_bytes += size_bytes
        return ticket

    def left(self, ticket: Ticket) -> None:
        """Called by a ticket that gives its place back."""
        if not ticket.holds_slot:
            self._leave_queue(ticket)
            return
        self._running -= 1
        self._by_lane[ticket.lane.name] -= 1
        if self._waiting:
            self._call_next()

    def _call_next(self) -> None:
        # A lane at its limit must not hold up those behind it, so the queue is searched, not popped.
        for ticket in list(self._waiting):
            if self._running >= self._slots:
                return
            if self.has_slot(ticket.lane):
                self._leave_queue(ticket)
                self._take(ticket.lane)
                ticket.call()

    def _leave_queue(self, ticket: Ticket) -> None:
        self._waiting.remove(ticket)
        self.waiting_bytes -= ticket.size_bytes

    def _take(self, lane: Lane) -> None:
        self._running += 1
        self._by_lane[lane.name] += 1
