"""Executions: an ask comes in, and replays finished work, joins or adopts running work, or opens new work."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Final
from uuid import uuid4

import anyio
import msgspec

from executor_sdk.errors import DrainingError, HandlerCrashedError, TaskCancelled, TaskLostError
from executor_sdk.executions.admission import Admission, Lane, Ticket
from executor_sdk.executions.ledger import Ledger
from executor_sdk.executions.live import LiveWork, Observer
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Ask, Keep, Key, Outcome, State, Work
from executor_sdk.protocol.canonical import declared_bytes

#: Between two looks at work that another process runs.
POLL_S: Final = 0.1
#: Between two signs of life in a shared ledger, and the silence after which an owner counts as dead.
BEAT_S: Final = 0.5
SILENT_MS: Final = 3_000
#: How long a drain waits for handlers that it has told to stop.
CUT_S: Final = 2.0
#: Ends between two prunings of the ledger.
PRUNE_EVERY: Final = 64

logger = logging.getLogger(__name__)


class How(StrEnum):
    """How an ask came by its answer."""

    OPENED = "opened"
    JOINED = "joined"
    REPLAYED = "replayed"


class Plan(msgspec.Struct, frozen=True):
    """How new work would be done; not looked at when there is work already."""

    lane: Lane
    #: How long the work goes on when nobody waits for it.
    linger_s: float
    #: Does the work and says what everybody is answered. What it raises counts as a crash.
    perform: Callable[[LiveWork], Awaitable[Outcome]]


class Answer(msgspec.Struct, frozen=True):
    """The outcome for one ask; without a key if the ledger never heard of it."""

    key: Key | None
    outcome: Outcome
    how: How


class Executions:
    """All work of one process. It runs in tasks of its own, never in a request's, and outlives every request."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        slots: int,
        queue: int,
        keep: Keep,
        drain_s: float = 20.0,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        observer: Observer | None = None,
    ) -> None:
        self.owner = uuid4().hex
        self._ledger = ledger
        #: Verifying is short and must not wait behind executing, so each kind has slots of its own.
        self._admissions = {
            "execute": Admission(slots=slots, queue=queue),
            "verify": Admission(slots=slots, queue=queue),
        }
        self._keep = keep
        self._drain_s = drain_s
        self._clock = clock
        self._observer = observer
        self._live: dict[str, LiveWork] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heart: asyncio.Task[None] | None = None
        self._draining = False
        self._opened = 0
        self._opened = 0
        self._ends = 0

    @property
    def draining(self) -> bool:
        """Whether no new work is opened any more."""
        return self._draining

    @property
    def admission(self) -> Admission:
        """The slots of `/execute`, for whoever reports health."""
        return self._admissions["execute"]

    async def run(self, ask: Ask, plan: Plan, presence: Presence[Work] | None = None) -> Answer | None:
        """The answer for `ask`, from whichever work it belongs to; None if the caller went away first.

        Raises:
            BodyDiffersError: the execution id came before with another body.
            SaturatedError, DrainingError: new work would be needed and cannot be opened now.
            TaskLostError: the work was cut before it ended, or this ask was cancelled.
        """
        presence = Presence() if presence is None else presence
        while not presence.gone:
            work, how = await self._work_for(ask, plan)
            ended = work if work.ended else await self._wait(ask.key, work, presence)
            if ended is None:
                continue
            if ended.outcome is not None:
                return Answer(ask.key, ended.outcome, how)
            # Work that was cut has no answer. Whoever never had a start of its own may open anew; others are told.
            if await self._ledger.join(ask) is not None:
                raise TaskLostError(_why_cut(ended), details={"state": ended.state, "reason": ended.cancel_reason})
        return None

    async def answered(self, answer: Answer) -> None:
        """The whole answer went out and the caller was there: from now on a new attempt is new work."""
        if answer.key is not None:
            await self._ledger.answered(answer.key, self._clock())

    async def cancel(self, key: Key, reason: str) -> Work | None:
        """Withdraw one ask. The work stops when no other ask is left; None if the ask is unknown."""
        work = await self._ledger.withdraw(key, reason)
        live = None if work is None else self._live.get(work.work_id)
        if work is not None and live is not None and not work.ended:
            live.dismiss(key)
            if work.cancel_reason is not None:
                live.cancel(work.cancel_reason)
        return work

    async def drain(self) -> None:
        """Open no new work, give running work its time, cut what is left as LOST, and close the ledger."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._drain_s)
        for live in list(self._live.values()):
            live.cancel("the executor shut down", cut_as=State.LOST)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CUT_S)
        for live in list(self._live.values()):
            await self._end(live, None)
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.wait([self._heart])
        await self._ledger.close()

    async def _work_for(self, ask: Ask, plan: Plan) -> tuple[Work, How]:
        work = await self._ledger.join(ask)
        if work is None:
            created, work = await self._open(ask, plan)
            if created:
                return work, How.OPENED
        return work, How.REPLAYED if work.ended else How.JOINED

    async def _open(self, ask: Ask, plan: Plan) -> tuple[bool, Work]:
        if self._draining:
            raise DrainingError
        ticket = self._admissions[ask.key[0]].enter(plan.lane)
        now_ms = self._clock()
        self._opened += 1
        new = Work(f"{self.owner}-{self._opened:08x}", ask.step, State.QUEUED, self.owner, now_ms, now_ms)
        live = LiveWork(new.work_id, ask.key, linger_s=plan.linger_s, lapsed=self._lapsed, observer=self._observer)
        # Registered before it is recorded: a copy that finds the record must find the live work too.
        self._live[new.work_id] = live
        try:
            created, work = await self._ledger.open(ask, new)
        except BaseException:
            self._discard(live, ticket)
            raise
        if created:
            self._beat_if_shared()
            self._spawn(self._do(live, ticket, plan))
        else:
            self._discard(live, ticket)
        return created, work

    async def _wait(self, key: Key, work: Work, presence: Presence[Work]) -> Work | None:
        if (live := self._live.get(work.work_id)) is not None:
            return await live.wait(key, presence)
        # Not here, when the ledger was read: it has ended since, or is another process's, or nobody's.
        current = await self._ledger.find(key)
        if current is None or current.ended or current.work_id in self._live:
            return current if current is not None and current.ended else None
        if current.owner == self.owner:
            return await self._ledger.end(current.work_id, self.owner, State.LOST, None, self._clock())
        return await self._follow(key, presence)

    async def _follow(self, key: Key, presence: Presence[Work]) -> Work | None:
        while not presence.gone:
            now_ms = self._clock()
            work = await self._ledger.want(key, now_ms + SILENT_MS)
            if work is None or work.ended:
                return work
            await self._ledger.bury(now_ms - SILENT_MS, now_ms)
            await anyio.sleep(POLL_S)
        return None

    async def _do(self, live: LiveWork, ticket: Ticket, plan: Plan) -> None:
        outcome: Outcome | None = None
        task = asyncio.current_task()
        live.done_by(task)
        try:
            if not ticket.holds_slot:
                await ticket.slot()
            if live.cancel_reason is None and await self._ledger.start(live.work_id, self.owner, self._clock()):
                outcome = await plan.perform(live)
        except TaskCancelled:
            pass
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                if task.cancelling() > live.strikes:
                    # The loop itself is going down; nobody can be answered any more.
                    raise
            else:
                logger.exception("execution crashed", extra={"work_id": live.work_id})
                outcome = _CRASHED
        finally:
            live.done_by(None)
            ticket.leave()
        if live.strikes and task is not None:
            # A cancellation that the handler did not wait for is still on its way; it must not hit what follows.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if task.cancelling() > live.strikes:
                    raise
            task.uncancel()
        await self._end(live, outcome)

    async def _end(self, live: LiveWork, outcome: Outcome | None) -> None:
        reason = live.cancel_reason if outcome is None else None
        state = live.cut_as if outcome is None else State.ANSWERED if outcome.status < 400 else State.FAILED
        try:
            work = await self._ledger.end(live.work_id, self.owner, state, outcome, self._clock(), reason=reason)
        except Exception:
            logger.exception("execution ended but could not be recorded", extra={"work_id": live.work_id})
            work = None
        self._live.pop(live.work_id, None)
        if work is None:
            live.ended = True
            live.dismiss()
            return
        live.finish(work)
        self._ends += 1
        if self._ends % PRUNE_EVERY == 0:
            await self._ledger.prune(self._keep, self._clock())

    def _lapsed(self, live: LiveWork) -> None:
        self._spawn(self._let_go(live))

    async def _let_go(self, live: LiveWork) -> None:
        work = await self._ledger.find(live.key)
        if live.wanted or live.ended:
            return
        if work is not None and work.wanted_until_ms > self._clock():
            live.linger()
        else:
            live.cancel("nobody asks for it any more")

    def _discard(self, live: LiveWork, ticket: Ticket) -> None:
        ticket.leave()
        self._live.pop(live.work_id, None)
        live.ended = True
        live.dismiss()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        # Plain asyncio: the tasks belong to no request and to no scope, and the first request may start them.
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _beat_if_shared(self) -> None:
        if self._heart is None and self._ledger.shared:
            self._heart = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            now_ms = self._clock()
            seen = {work_id: (live.progressed, live.note) for work_id, live in self._live.items()}
            try:
                for work in await self._ledger.beat(self.owner, seen, now_ms):
                    if work.cancel_reason is not None and (live := self._live.get(work.work_id)) is not None:
                        live.cancel(work.cancel_reason)
                await self._ledger.bury(now_ms - SILENT_MS, now_ms)
            except Exception:
                logger.exception("the ledger could not be told that this process lives")
            await anyio.sleep(BEAT_S)


_CRASHED: Final = Outcome(HandlerCrashedError.status_code, declared_bytes(HandlerCrashedError().body()))


def _why_cut(work: Work) -> str:
    if work.state is State.CANCELLED:
        return f"the work was cancelled: {work.cancel_reason or 'nobody said why'}"
    return f"the work was cut: {work.cancel_reason or 'its process died'}; ask again with a new attempt"
