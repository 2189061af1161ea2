"""The ledger in memory: as long-lived as its process."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from itertools import islice
from uuid import uuid4

from msgspec import Struct

from executor_sdk.errors import BodyDiffersError, TaskLostError
from executor_sdk.executions.alone import Alone
from executor_sdk.executions.clocks import SteadyClock
from executor_sdk.executions.ledger import StepBusyError, TooManyAsksError
from executor_sdk.executions.record import MAX_ASKS, Ask, Keep, Key, Outcome, State, Work


class _AskRow(Struct, gc=False):
    digest: bytes
    work: Work
    #: Whether it came to work that another ask had opened.
    adopted: bool
    withdrawn: str | None = None


class _WorkRow(Struct, gc=False):
    work: Work
    #: The asks that came to the work. A tuple of tuples of texts: the garbage collector stops tracking such a tuple at
    #: its first look, and a list never.
    asks: tuple[Key, ...]


class MemoryLedger:
    """A ledger of dicts. Every method runs without a pause, which is what makes it atomic; rows change in place."""

    shared = False
    failure = None

    def __init__(self, alone: Alone | None = None) -> None:
        """`alone` tells, where processes are served, whether another one has a ledger of the same executor."""
        self.owner = uuid4().hex[:12]
        self.now_ms = SteadyClock()
        self._alone = alone
        self._asks: dict[Key, _AskRow] = {}
        #: All work in the order of its opening.
        self._works: dict[str, _WorkRow] = {}
        #: The latest work of each step.
        self._steps: dict[bytes, Work] = {}
        #: Finished work whose answer nobody has heard, in the order of its end; and work whose answer was heard. No
        #: plain dict: its first key is found ever more slowly the more were deleted before it.
        self._unheard: OrderedDict[str, Work] = OrderedDict()
        self._heard: deque[Work] = deque()
        self._finished_bytes = 0

    async def prepare(self) -> None:
        """See the port."""
        if self._alone is not None:
            self._alone.check()

    async def join(self, ask: Ask) -> Work | None:
        """See the port."""
        return self._join(ask)

    async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
        """See the port."""
        if (known := self._join(ask)) is not None:
            return False, known
        self._leave_old(ask.key)
        self._works[new.work_id] = _WorkRow(new, (ask.key,))
        self._asks[ask.key] = _AskRow(ask.digest, new, adopted=False)
        if new.step is not None:
            self._steps[new.step.key] = new
        return True, new

    async def find(self, key: Key) -> Work | None:
        """See the port."""
        row = self._asks.get(key)
        return None if row is None else row.work

    async def start(self, work_id: str, now_ms: int) -> bool:
        """See the port."""
        work = self._works[work_id].work
        if work.state is not State.QUEUED or work.cancel_reason is not None:
            return False
        work.state, work.started_ms = State.RUNNING, now_ms
        return True

    async def end(
        self,
        work_id: str,
        state: State,
        outcome: Outcome | None,
        now_ms: int,
        *,
        reason: str | None = None,
        busy: bool = False,
    ) -> Work | None:
        """See the port."""
        row = self._works.get(work_id)
        if row is None:
            return None
        work = row.work
        if work.ended:
            return work
        work.state, work.outcome, work.ended_ms, work.busy = state, outcome and _compact(outcome), now_ms, busy
        work.cancel_reason = work.cancel_reason or reason
        self._finished_bytes += work.size_bytes
        if not busy:
            self._rank(work)
        return work

    async def rest(self, work_id: str) -> None:
        """See the port."""
        if (row := self._works.get(work_id)) is not None and row.work.busy:
            row.work.busy = False
            self._rank(row.work)

    async def answered(self, keys: Sequence[Key]) -> None:
        """See the port."""
        for key in keys:
            if (row := self._asks.get(key)) is None or row.work.sent:
                continue
            row.work.sent = True
            if self._unheard.pop(row.work.work_id, None) is not None:
                self._heard.append(row.work)

    async def turn_down(self, key: Key) -> None:
        """See the port."""
        if (row := self._asks.get(key)) is not None and row.work.ended:
            row.work.turned_down = True

    async def withdraw(self, key: Key, reason: str) -> Work | None:
        """See the port."""
        if (row := self._asks.get(key)) is None:
            return None
        work = row.work
        if work.ended:
            return work
        row.withdrawn = row.withdrawn or reason
        if all(self._asks[other].withdrawn for other in self._works[work.work_id].asks):
            work.cancel_reason = work.cancel_reason or reason
        return work

    async def wait_for(self, work_id: str) -> None:
        """See the port; there is no other process."""

    async def leave(self, work_id: str) -> None:
        """See the port; there is no other process."""

    async def waiting_elsewhere(self, work_id: str) -> tuple[bool, int]:
        """See the port; there is no other process."""
        return False, 0

    async def report(self, seen: Mapping[str, tuple[float, str]]) -> Sequence[Work]:
        """See the port."""
        for work_id, (progress, note) in seen.items():
            if (row := self._works.get(work_id)) is not None and not row.work.ended:
                row.work.progress, row.work.note = progress, note
        works = (row.work for row in self._works.values())
        return [work for work in works if work.cancel_reason is not None and not work.ended]

    async def bury(self, now_ms: int) -> int:
        """See the port; there is no other process."""
        return 0

    async def page(self, after: str, limit: int) -> Sequence[Work]:
        """See the port."""
        works = (row.work for row in self._works.values())
        if after in self._works:
            next(work for work in works if work.work_id == after)
        return list(islice(works, limit))

    async def make_room(self, keep: Keep, now_ms: int) -> bool:
        """See the port."""
        # Those that were heard go first: nobody misses them most of the time.
        while self._heard and self._may_forget(self._heard[0], keep, now_ms):
            self._forget(self._heard.popleft())
        while self._unheard:
            work = next(iter(self._unheard.values()))
            if not self._may_forget(work, keep, now_ms):
                break
            del self._unheard[work.work_id]
            self._forget(work)
        return self._finished_bytes < keep.full_bytes

    async def close(self) -> None:
        """See the port."""
        if self._alone is not None:
            self._alone.close()

    def _join(self, ask: Ask) -> Work | None:
        row = self._asks.get(ask.key)
        if row is None:
            return None if ask.step is None else self._adopt(ask, self._steps.get(ask.step.key), overtaken=False)
        if row.digest != ask.digest:
            raise BodyDiffersError
        if row.withdrawn is not None:
            raise TaskLostError(f"this execution was cancelled: {row.withdrawn}")
        if not row.work.opens_anew(ask.key, adopted=row.adopted):
            return row.work
        if row.work.busy:
            raise StepBusyError(row.work)
        # Another attempt may have had the step's next start since this one's work was cut.
        return None if ask.step is None else self._adopt(ask, self._steps.get(ask.step.key), overtaken=True)

    def _adopt(self, ask: Ask, work: Work | None, *, overtaken: bool) -> Work | None:
        if work is None:
            return None
        if work.adoptable_by(ask, overtaken=overtaken):
            row = self._works[work.work_id]
            if len(row.asks) >= MAX_ASKS:
                raise TooManyAsksError
            self._leave_old(ask.key)
            self._asks[ask.key] = _AskRow(ask.digest, work, adopted=True)
            row.asks = (*row.asks, ask.key)
            return work
        if work.busy:
            raise StepBusyError(work)
        return None

    def _leave_old(self, key: Key) -> None:
        if (row := self._asks.get(key)) is not None:
            left = self._works[row.work.work_id]
            left.asks = tuple(other for other in left.asks if other != key)

    def _rank(self, work: Work) -> None:
        """Ended work whose threads have returned may be forgotten in its turn; before, it would hold up all others."""
        if work.sent:
            self._heard.append(work)
        else:
            self._unheard[work.work_id] = work

    def _may_forget(self, work: Work, keep: Keep, now_ms: int) -> bool:
        if keep.protects(work, now_ms):
            return False
        finished = len(self._heard) + len(self._unheard)
        is_beyond = finished > keep.count or self._finished_bytes > keep.total_bytes
        return is_beyond or (work.ended_ms or 0) < now_ms - keep.age_ms

    def _forget(self, work: Work) -> None:
        self._finished_bytes -= work.size_bytes
        if work.step is not None and self._steps.get(work.step.key) is work:
            del self._steps[work.step.key]
        for key in self._works.pop(work.work_id).asks:
            del self._asks[key]


def _compact(outcome: Outcome) -> Outcome:
    """The outcome with a copy of its body: what orjson makes keeps the 4 KB buffer that it was written into."""
    return Outcome(outcome.status, memoryview(outcome.body).tobytes(), outcome.headers)
