"""Executions: an ask comes in, and replays finished work, joins or adopts running work, or opens new work."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from executor_sdk.cancelling import Stop
from executor_sdk.errors import DrainingError, ExecutorError, SaturatedError, TaskCancelled, TaskLostError
from executor_sdk.executions.admission import Admission, Lane, Ticket
from executor_sdk.executions.elsewhere import Elsewhere
from executor_sdk.executions.ledger import Ledger, LedgerError, StepBusyError
from executor_sdk.executions.live import LiveWork, Observer
from executor_sdk.executions.outcomes import CRASHED
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Ask, Keep, Key, Outcome, State, Work

#: How long a drain waits for handlers that it has told to stop.
CUT_S: Final = 2.0

#: Seconds between two looks at a ledger that was found full.
LOOK_AGAIN_S: Final = 0.25

#: Seconds between two tries to write down what has happened.
RECORD_AGAIN_S: Final = 0.5

#: New work between two prunings of the ledger.
PRUNE_EVERY: Final = 64

T = TypeVar("T")

logger = logging.getLogger(__name__)


class How(StrEnum):
    """How an ask came by its answer."""

    OPENED = "opened"
    JOINED = "joined"
    REPLAYED = "replayed"


class Plan(msgspec.Struct, frozen=True, gc=False):
    """How new work would be done; not looked at when there is work already."""

    lane: Lane
    #: How long the work goes on when nobody waits for it.
    linger_s: float
    #: Does the work and says what everybody is answered. What it raises counts as a crash.
    perform: Callable[[LiveWork], Awaitable[Outcome]]
    #: What the plan holds of the request, in bytes.
    size_bytes: int = 0


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The outcome for one ask; without a key if the ledger never heard of it."""

    key: Key | None
    outcome: Outcome
    how: How = How.OPENED


class WorkBounds(msgspec.Struct, frozen=True):
    """How much may be under way at once in one process."""

    slots: int
    queue: int
    #: Copies and attempts that wait for work, and bytes of the requests that they hold meanwhile.
    waiting: int = 4_096
    waiting_bytes: int = 16 * 1024 * 1024


class Executions:
    """All work of one process. It runs in tasks of its own, never in a request's, and outlives every request."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        bounds: WorkBounds,
        keep: Keep,
        drain_s: float = 20.0,
        clock: Callable[[], int] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._ledger = ledger
        self._bounds = bounds
        #: Verifying is short and must not wait behind executing, so each kind has slots of its own.
        self._admissions = {
            "execute": Admission(slots=bounds.slots, queue=bounds.queue),
            "verify": Admission(slots=bounds.slots, queue=bounds.queue),
        }
        self._keep = keep
        self._drain_s = drain_s
        self._clock = clock or ledger.now_ms
        self._observer = observer
        self._live: dict[str, LiveWork] = {}
        self._elsewhere = Elsewhere(ledger, self._live, self._clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_started = False
        self._draining = False
        self._opened = 0
        self._waiting = 0
        self._held_bytes = 0
        self._overrunning = 0
        self._has_room = True
        self._look_at_s = 0.0
        #: Works whose end, or whose rest, the ledger does not take at the moment.
        self._unrecorded = 0
        self._closing = False

    @property
    def draining(self) -> bool:
        """Whether no new work is opened any more."""
        return self._draining

    @property
    def load(self) -> dict[str, int]:
        """Slots taken and places in the queue of `/execute`, copies and attempts that wait, and slots that are held by
        threads whose work is over."""
        admission = self._admissions["execute"]
        return {
            "running": admission.running,
            "waiting": admission.waiting,
            "joined": self._waiting,
            "overrunning": self._overrunning,
        }

    async def start(self) -> None:
        """Open the ledger.

        Raises:
            LedgerError: it cannot be opened.
        """
        await self._ledger.prepare()
        await self._ledger.bury(self._clock())
        self._is_started = True

    async def failure(self) -> str | None:
        """Why nothing can be done here at all; None while all is well. What nobody has started is started by this."""
        if not self._is_started:
            try:
                await self.start()
            except LedgerError as error:
                return error.message
        if self._unrecorded:
            return f"the ends of {self._unrecorded} works cannot be recorded; the log has the reason"
        return self._ledger.failure

    async def run(self, ask: Ask, plan: Plan | None, presence: Presence[Work] | None = None) -> Reply | None:
        """The answer for `ask`, from whichever work it belongs to; None if the caller went away first.

        Raises:
            BodyDiffersError: the execution id came before with another body.
            SaturatedError, DrainingError: new work would be needed and cannot be opened now.
            TaskLostError: the work was cut before it ended, or this ask was cancelled.
        """
        presence = Presence() if presence is None else presence
        patience_s: float | None = None
        while not presence.gone:
            try:
                work, how = await self._work_for(ask, plan)
            except StepBusyError as busy:
                if plan is None:
                    raise _lost(busy.work) from None
                if patience_s is None:
                    patience_s = time.monotonic() + plan.linger_s
                    if busy.work.owner != self._ledger.owner:
                        # A process that has died has no threads, and nobody may have noticed yet.
                        await self._ledger.bury(self._clock())
                await self._wait_for_rest(plan, patience_s, presence)
                continue
            if work.ended:
                ended: Work | None = work
            elif how is How.OPENED:
                # The work holds its plan itself now; what waits for it here holds no body.
                plan = None
                ended = await self._wait(ask.key, work, presence)
            else:
                # Held for the case that the work is cut, if that does not take too much.
                plan = self._held(plan)
                ended = await self._joined(ask.key, work, plan, presence)
            if ended is None:
                continue
            if ended.outcome is not None:
                return Reply(ask.key, ended.outcome, how)
            # Work that was cut has no answer. Who never had a start of its own may open anew; others are told.
            if plan is None or await self._has_had_its_start(ask, ended):
                raise _lost(ended)
        return None

    async def answered(self, reply: Reply) -> None:
        """The whole answer went out and the caller was there."""
        if reply.key is not None:
            await self._ledger.answered(reply.key, self._clock())

    async def turn_down(self, key: Key) -> None:
        """A candidate of this ask was judged and not passed: a later attempt is new work."""
        await self._ledger.turn_down(key)

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
        self._closing = True
        for live in list(self._live.values()):
            await self._end(live, None)
        await self._elsewhere.close()
        await self._ledger.close()

    async def _work_for(self, ask: Ask, plan: Plan | None) -> tuple[Work, How]:
        """The work of `ask`: with a slot to be had one call to the ledger finds or opens it."""
        admission = self._admissions[ask.key[1]]
        if (
            plan is not None
            and not self._draining
            and self._has_place(plan, admission)
            # Nearly always there is room; it is looked for now and then, and each time where there was none. Others may
            # have come meanwhile, so the place is asked for again.
            and (self._is_roomy or (await self._has_made_room() and self._has_place(plan, admission)))
        ):
            created, work = await self._open(ask, plan, admission.enter(plan.lane))
            if created:
                return work, How.OPENED
        else:
            found = await self._ledger.join(ask)
            if found is None:
                raise self._why_closed(plan)
            work = found
        return work, How.REPLAYED if work.ended else How.JOINED

    def _has_place(self, plan: Plan, admission: Admission) -> bool:
        """Whether there is a slot for the plan, or a place in the queue and bytes to hold it there."""
        return admission.has_slot(plan.lane) or (admission.has_room(plan.lane) and self._fits(plan))

    async def _open(self, ask: Ask, plan: Plan, ticket: Ticket) -> tuple[bool, Work]:
        now_ms = self._clock()
        self._opened += 1
        at_once = ticket.holds_slot
        new = Work(
            work_id=f"{self._ledger.owner}-{self._opened:x}",
            step=ask.step,
            state=State.RUNNING if at_once else State.QUEUED,
            owner=self._ledger.owner,
            opened_ms=now_ms,
            started_ms=now_ms if at_once else None,
        )
        live = LiveWork(new.work_id, ask.key, linger_s=plan.linger_s, lapsed=self._lapsed, observer=self._observer)
        # Registered before it is recorded: a copy that finds the record must find the live work too.
        self._live[new.work_id] = live
        try:
            created, work = await self._ledger.open(ask, new)
        except BaseException:
            self._discard(live, ticket)
            raise
        if created:
            self._elsewhere.follow_reports()
            self._held_bytes += 0 if at_once else plan.size_bytes
            self._spawn(self._do(live, ticket, plan, is_queued=not at_once), eagerly=at_once)
        else:
            self._discard(live, ticket)
        return created, work

    @property
    def _is_roomy(self) -> bool:
        return self._has_room and self._opened % PRUNE_EVERY > 0 and not self._unrecorded

    async def _has_made_room(self) -> bool:
        """Whether the ledger takes another record, after forgetting what it may."""
        if self._unrecorded:
            return False
        now_s = time.monotonic()
        if not self._has_room and now_s < self._look_at_s:
            return False
        self._has_room = await self._ledger.make_room(self._keep, self._clock())
        self._look_at_s = now_s + LOOK_AGAIN_S
        return self._has_room

    def _why_closed(self, plan: Plan | None) -> Exception:
        if self._draining:
            return DrainingError()
        if plan is None:
            return TaskLostError("the work was cut; ask again")
        if not self._fits(plan):
            return SaturatedError(f"what waits already holds {self._held_bytes} bytes; ask again later")
        if self._unrecorded:
            return SaturatedError("what has ended cannot be recorded now; ask again later")
        if not self._has_room:
            return SaturatedError("the ledger is full of answers that must be kept a while; ask again later")
        return SaturatedError(f"all slots are taken and {self._bounds.queue} tasks wait; ask again later")

    def _fits(self, plan: Plan) -> bool:
        return self._held_bytes + plan.size_bytes <= self._bounds.waiting_bytes

    def _held(self, plan: Plan | None) -> Plan | None:
        return plan if plan is not None and self._fits(plan) else None

    async def _joined(self, key: Key, work: Work, plan: Plan | None, presence: Presence[Work]) -> Work | None:
        """Wait as one of the copies and attempts, of which there may be so many."""
        self._check_waiting()
        size_bytes = 0 if plan is None else plan.size_bytes
        self._waiting += 1
        self._held_bytes += size_bytes
        try:
            return await self._wait(key, work, presence)
        finally:
            self._waiting -= 1
            self._held_bytes -= size_bytes

    async def _wait(self, key: Key, work: Work, presence: Presence[Work]) -> Work | None:
        if (live := self._live.get(work.work_id)) is not None:
            return live.ended or await live.wait(key, presence)
        # Not here, when the ledger was read: it has ended since, or is another process's, or nobody's.
        current = await self._ledger.find(key)
        if current is None or current.ended or current.work_id in self._live:
            return current if current is not None and current.ended else None
        if current.owner == self._ledger.owner:
            return await self._ledger.end(current.work_id, State.LOST, None, self._clock())
        return await self._elsewhere.wait(key, current.work_id, presence)

    async def _wait_for_rest(self, plan: Plan, until_s: float, presence: Presence[Work]) -> None:
        """Wait for the threads that the step's last work has left behind; no longer than work lingers."""
        if time.monotonic() >= until_s:
            raise SaturatedError("the last attempt at this step was stopped, but its code still runs; ask again later")
        self._check_waiting()
        if not self._fits(plan):
            raise SaturatedError(f"what waits already holds {self._held_bytes} bytes; ask again later")
        self._waiting += 1
        self._held_bytes += plan.size_bytes
        try:
            await self._elsewhere.moment(presence)
        finally:
            self._waiting -= 1
            self._held_bytes -= plan.size_bytes

    def _check_waiting(self) -> None:
        if self._waiting >= self._bounds.waiting:
            raise SaturatedError(f"{self._waiting} copies and attempts wait already; ask again later")

    async def _has_had_its_start(self, ask: Ask, cut: Work) -> bool:
        """Whether the work that was cut is all that this ask may have: there is neither new work for it, nor work that
        another attempt has opened meanwhile."""
        try:
            work = await self._ledger.join(ask)
        except StepBusyError:
            return False
        return work is not None and work.work_id == cut.work_id

    async def _do(self, live: LiveWork, ticket: Ticket, plan: Plan, *, is_queued: bool) -> None:
        live.stop = stop = Stop()
        outcome: Outcome | None = None
        outlasted = False
        try:
            started = not is_queued or await self._started(live, ticket, plan.size_bytes)
            if started and live.cancel_reason is None:
                outcome = await plan.perform(live)
        except TaskCancelled:
            pass
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and stop.from_outside:
                # The loop is going down, or the handler has cancelled its own task. Those who wait must hear it.
                live.cut_as = State.LOST
            elif not (isinstance(error, asyncio.CancelledError) and stop.strikes):
                logger.exception("execution crashed", extra={"work_id": live.work_id})
                outcome = CRASHED
        finally:
            live.stop = None
            # What it holds of the request goes before anybody is told.
            del plan
            # Asked once: a thread that returns while the end is written must not leave its slot taken.
            if not (outlasted := live.busy):
                ticket.leave()
        if stop.strikes:
            await _settle(stop)
        await self._end(live, outcome)
        if outlasted and stop.from_outside:
            self._spawn(self._outlast(live, ticket))
        elif outlasted:
            await self._outlast(live, ticket)

    async def _started(self, live: LiveWork, ticket: Ticket, size_bytes: int) -> bool:
        try:
            await ticket.slot()
        finally:
            self._held_bytes -= size_bytes
        return live.cancel_reason is None and await self._ledger.start(live.work_id, self._clock())

    async def _outlast(self, live: LiveWork, ticket: Ticket) -> None:
        """The work is over, but not its threads: they keep the slot, and the step's next attempt waits for them."""
        assert live.rest is not None  # noqa: S101 - a busy one has it
        self._overrunning += 1
        try:
            await live.rest
            await self._recorded(live, lambda: self._ledger.rest(live.work_id))
        finally:
            self._overrunning -= 1
            ticket.leave()
            self._elsewhere.stir()

    async def _end(self, live: LiveWork, outcome: Outcome | None) -> None:
        reason = live.cancel_reason if outcome is None else None
        state = live.cut_as if outcome is None else State.ANSWERED if outcome.status < 400 else State.FAILED
        work = await self._recorded(
            live,
            lambda: self._ledger.end(live.work_id, state, outcome, self._clock(), reason=reason, busy=live.busy),
        )
        self._live.pop(live.work_id, None)
        if work is None:
            live.dismiss()
        else:
            live.finish(work)

    async def _recorded(self, live: LiveWork, write: Callable[[], Awaitable[T]]) -> T | None:
        """What `write` returns, which is tried until the ledger takes it; None if a drain, or the loop, gave that up.

        Those who wait are sent to the ledger, from which they hear what is wrong, or come back to wait.
        """
        is_late = False
        try:
            while True:
                try:
                    return await write()
                except Exception:
                    if not is_late:
                        logger.exception("execution ended but cannot be recorded", extra={"work_id": live.work_id})
                        is_late, self._unrecorded = True, self._unrecorded + 1
                task = asyncio.current_task()
                if self._closing or (task is not None and task.cancelling()):
                    return None
                live.dismiss()
                await asyncio.sleep(RECORD_AGAIN_S)
        finally:
            self._unrecorded -= is_late

    def _lapsed(self, live: LiveWork) -> None:
        self._spawn(self._let_go(live))

    async def _let_go(self, live: LiveWork) -> None:
        try:
            waits, asked = await self._ledger.waiting_elsewhere(live.work_id)
        except ExecutorError:
            # Whoever does not know asks again.
            waits, asked = True, live.asked_elsewhere
        if live.wanted or live.ended is not None:
            return
        if waits or asked != live.asked_elsewhere:
            live.asked_elsewhere = asked
            live.linger()
        else:
            live.cancel("nobody asks for it any more")

    def _discard(self, live: LiveWork, ticket: Ticket) -> None:
        ticket.leave()
        self._live.pop(live.work_id, None)
        live.dismiss()

    def _spawn(self, work: Coroutine[None, None, None], *, eagerly: bool = False) -> None:
        # Plain asyncio: the tasks belong to no request and to no scope, and the first request may start them.
        if eagerly and sys.version_info >= (3, 12):
            # It begins before its request goes on: an answer made without waiting needs no turn of the loop.
            task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)
        else:
            task = asyncio.create_task(work)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _settle(stop: Stop) -> None:
    """A cancellation that the handler did not wait for is still on its way; it must not hit what follows."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if stop.from_outside:
            raise
    stop.take_back()


def _lost(work: Work) -> TaskLostError:
    if work.state is State.CANCELLED:
        sentence = f"the work was cancelled: {work.cancel_reason or 'nobody said why'}"
    else:
        sentence = f"the work was cut: {work.cancel_reason or 'its process died'}; ask again with a new attempt"
    return TaskLostError(sentence, details={"state": work.state, "reason": work.cancel_reason})
