"""The ledger in memory: as long-lived as its process."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from executor_sdk.errors import BodyDiffersError, TaskLostError
from executor_sdk.executions.record import Ask, Keep, Key, Outcome, State, Work


class _AskRow(Struct):
    ask: Ask
    work_id: str
    #: Whether it came to work that another ask had opened.
    adopted: bool
    withdrawn: str | None = None


class MemoryLedger:
    """A ledger of dicts. Every method runs without a pause, which is what makes it atomic."""

    shared = False

    def __init__(self) -> None:
        self._asks: dict[Key, _AskRow] = {}
        self._works: dict[str, Work] = {}
        #: The asks of each work, in the order in which they came.
        self._keys: dict[str, list[Key]] = {}
        #: The latest work of each step.
        self._steps: dict[str, str] = {}
        #: Finished work in the order of its end, with the bytes of its outcome. A deque, because the first key of a
        #: dict is found ever more slowly the more were deleted before it.
        self._finished: deque[tuple[str, int]] = deque()
        self._finished_bytes = 0
        self._heard: dict[str, int] = {}

    async def join(self, ask: Ask) -> Work | None:
        """See the port."""
        return self._join(ask)

    async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
        """See the port."""
        if (known := self._join(ask)) is not None:
            return False, known
        if (row := self._asks.get(ask.key)) is not None:
            self._keys[row.work_id].remove(ask.key)
        self._works[new.work_id] = new
        self._keys[new.work_id] = []
        if new.step is not None:
            self._steps[new.step.key] = new.work_id
        self._attach(ask, new.work_id, adopted=False)
        return True, new

    async def find(self, key: Key) -> Work | None:
        """See the port."""
        row = self._asks.get(key)
        return None if row is None else self._works[row.work_id]

    async def start(self, work_id: str, owner: str, now_ms: int) -> bool:
        """See the port."""
        work = self._works[work_id]
        if work.state is not State.QUEUED or work.owner != owner or work.cancel_reason is not None:
            return False
        self._works[work_id] = replace(work, state=State.RUNNING, started_ms=now_ms)
        return True

    async def end(
        self, work_id: str, owner: str, state: State, outcome: Outcome | None, now_ms: int, *, reason: str | None = None
    ) -> Work | None:
        """See the port."""
        work = self._works.get(work_id)
        if work is None or work.ended or work.owner != owner:
            return work
        return self._end(work, state, outcome, now_ms, reason)

    async def answered(self, key: Key, now_ms: int) -> None:
        """See the port."""
        if (row := self._asks.get(key)) is None:
            return
        work = self._works[row.work_id]
        if not work.sent:
            self._works[row.work_id] = replace(work, sent=True)

    async def want(self, key: Key, until_ms: int) -> Work | None:
        """See the port."""
        work = await self.find(key)
        if work is None or work.ended or work.wanted_until_ms >= until_ms:
            return work
        self._works[work.work_id] = work = replace(work, wanted_until_ms=until_ms)
        return work

    async def withdraw(self, key: Key, reason: str) -> Work | None:
        """See the port."""
        if (row := self._asks.get(key)) is None:
            return None
        work = self._works[row.work_id]
        if work.ended:
            return work
        row.withdrawn = row.withdrawn or reason
        if all(self._asks[other].withdrawn for other in self._keys[row.work_id]):
            self._works[row.work_id] = work = replace(work, cancel_reason=work.cancel_reason or reason)
        return work

    async def beat(self, owner: str, seen: Mapping[str, tuple[float, str]], now_ms: int) -> Sequence[Work]:
        """See the port."""
        self._heard[owner] = now_ms
        for work_id, (progress, note) in seen.items():
            if (work := self._works.get(work_id)) is not None and not work.ended:
                self._works[work_id] = replace(work, progress=progress, note=note)
        return [work for work in self._works.values() if work.owner == owner and not work.ended]

    async def bury(self, silent_since_ms: int, now_ms: int) -> int:
        """See the port."""
        lost = [
            work
            for work in self._works.values()
            if not work.ended and self._heard.get(work.owner, work.opened_ms) < silent_since_ms
        ]
        for work in lost:
            self._end(work, State.LOST, None, now_ms, None)
        return len(lost)

    async def page(self, after: str, limit: int) -> Sequence[Work]:
        """See the port."""
        works = iter(self._works.values())
        if after in self._works:
            next(work for work in works if work.work_id == after)
        return list(islice(works, limit))

    async def prune(self, keep: Keep, now_ms: int) -> int:
        """See the port."""
        pruned = 0
        while self._finished and self._beyond(keep, now_ms):
            self._forget(*self._finished.popleft())
            pruned += 1
        return pruned

    async def close(self) -> None:
        """See the port."""

    def _join(self, ask: Ask) -> Work | None:
        row = self._asks.get(ask.key)
        if row is None:
            return None if ask.step is None else self._adopt(ask, ask.step.key)
        if not row.ask.same_request(ask):
            raise BodyDiffersError
        if row.withdrawn is not None:
            raise TaskLostError(f"this execution was cancelled: {row.withdrawn}")
        work = self._works[row.work_id]
        return None if work.opens_anew(ask.key, adopted=row.adopted) else work

    def _adopt(self, ask: Ask, step_key: str) -> Work | None:
        work = self._works.get(self._steps.get(step_key, ""))
        if work is None or ask.step is None or not work.adoptable_by(ask.step):
            return None
        self._attach(ask, work.work_id, adopted=True)
        return work

    def _attach(self, ask: Ask, work_id: str, *, adopted: bool) -> None:
        self._asks[ask.key] = _AskRow(ask, work_id, adopted)
        self._keys[work_id].append(ask.key)

    def _end(self, work: Work, state: State, outcome: Outcome | None, now_ms: int, reason: str | None) -> Work:
        reason = work.cancel_reason or reason
        ended = replace(work, state=state, outcome=outcome, ended_ms=now_ms, cancel_reason=reason)
        self._works[work.work_id] = ended
        # What is kept of it: the answer, and the bodies of all who asked.
        size = sum(len(self._asks[key].ask.body) for key in self._keys[work.work_id])
        size += 0 if outcome is None else len(outcome.body)
        self._finished.append((work.work_id, size))
        self._finished_bytes += size
        return ended

    def _beyond(self, keep: Keep, now_ms: int) -> bool:
        oldest = self._works[self._finished[0][0]]
        return (
            len(self._finished) > keep.count
            or self._finished_bytes > keep.total_bytes
            or (oldest.ended_ms or 0) < now_ms - keep.age_ms
        )

    def _forget(self, work_id: str, size: int) -> None:
        self._finished_bytes -= size
        work = self._works.pop(work_id)
        if work.step is not None and self._steps.get(work.step.key) == work_id:
            del self._steps[work.step.key]
        for key in self._keys.pop(work_id):
            del self._asks[key]
