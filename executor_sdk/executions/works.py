"""The works of this process: each in a task of its own, its end written down, and its threads outlasted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

from executor_sdk.cancelling import Stop
from executor_sdk.errors import ExecutorError, TaskCancelled
from executor_sdk.executions.admission import Ticket
from executor_sdk.executions.elsewhere import Elsewhere
from executor_sdk.executions.ledger import Ledger
from executor_sdk.executions.live import LiveWork, Observer
from executor_sdk.executions.outcomes import CRASHED
from executor_sdk.executions.plan import Plan
from executor_sdk.executions.record import Ask, Outcome, State, Work

#: How long a drain waits for handlers that it has told to stop, in seconds.
CUT_S: Final = 2.0

#: Seconds between two tries to write down what has happened.
RECORD_AGAIN_S: Final = 0.5

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Works:
    """What runs here now. It belongs to no request, and outlives every request."""

    def __init__(self, ledger: Ledger, clock: Callable[[], int], observer: Observer | None) -> None:
        self._ledger = ledger
        self._clock = clock
        self._observer = observer
        #: By the id of the work.
        self.live: dict[str, LiveWork] = {}
        self.elsewhere = Elsewhere(ledger, self.live, clock)
        #: How many works were to be opened so far.
        self.opened = 0
        #: Asks of which the ledger has not said yet whether there is work for them already.
        self.in_doubt = 0
        #: Slots held by threads whose work is over.
        self.overrunning = 0
        #: Works whose end, or whose rest, the ledger does not take at the moment.
        self.unrecorded = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def open(self, ask: Ask, plan: Plan, ticket: Ticket) -> tuple[bool, Work]:
        """Have new work done, unless there is work for the ask already; true if it was opened.

        Raises as `Ledger.open` does.
        """
        now_ms = self._clock()
        self.opened += 1
        at_once = ticket.holds_slot
        new = Work(
            work_id=f"{self._ledger.owner}-{self.opened:x}",
            step=ask.step,
            state=State.RUNNING if at_once else State.QUEUED,
            owner=self._ledger.owner,
            opened_ms=now_ms,
            started_ms=now_ms if at_once else None,
            task_type=plan.task_type,
        )
        live = LiveWork(new.work_id, ask.key, linger_s=plan.linger_s, lapsed=self._lapsed, observer=self._observer)
        # Registered before it is recorded: a copy that finds the record must find the live work too.
        self.live[new.work_id] = live
        self.in_doubt += 1
        try:
            created, work = await self._ledger.open(ask, new)
        except BaseException:
            self._discard(live, ticket)
            raise
        finally:
            self.in_doubt -= 1
        if created:
            self.elsewhere.follow_reports()
            self._spawn(self._do(live, ticket, plan, is_queued=not at_once))
        else:
            self._discard(live, ticket)
        return created, work

    async def drain(self, drain_s: float) -> None:
        """Give running work its time, and cut what is left as LOST."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=drain_s)
        for live in list(self.live.values()):
            live.cancel("the executor shut down", cut_as=State.LOST)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CUT_S)
        self._closing = True
        for live in list(self.live.values()):
            await self._end(live, None)
        await self.elsewhere.close()

    async def _do(self, live: LiveWork, ticket: Ticket, plan: Plan, *, is_queued: bool) -> None:
        live.stop = stop = Stop()
        outcome: Outcome | None = None
        outlasted = False
        try:
            started = not is_queued or await self._started(live, ticket)
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

    async def _started(self, live: LiveWork, ticket: Ticket) -> bool:
        await ticket.slot()
        return live.cancel_reason is None and await self._ledger.start(live.work_id, self._clock())

    async def _outlast(self, live: LiveWork, ticket: Ticket) -> None:
        """The work is over, but not its threads: they keep the slot, and the step's next attempt waits for them."""
        assert live.rest is not None  # noqa: S101 - a busy one has it
        self.overrunning += 1
        try:
            await live.rest
            await self._recorded(live, lambda: self._ledger.rest(live.work_id))
        finally:
            self.overrunning -= 1
            ticket.leave()
            self.elsewhere.stir()

    async def _end(self, live: LiveWork, outcome: Outcome | None) -> None:
        reason = live.cancel_reason if outcome is None else None
        state = live.cut_as if outcome is None else State.ANSWERED if outcome.status < 400 else State.FAILED
        work = await self._recorded(
            live,
            lambda: self._ledger.end(live.work_id, state, outcome, self._clock(), reason=reason, busy=live.busy),
        )
        self.live.pop(live.work_id, None)
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
                        is_late, self.unrecorded = True, self.unrecorded + 1
                task = asyncio.current_task()
                if self._closing or (task is not None and task.cancelling()):
                    return None
                live.dismiss()
                await asyncio.sleep(RECORD_AGAIN_S)
        finally:
            self.unrecorded -= is_late

    def _lapsed(self, live: LiveWork) -> None:
        self._spawn(self._let_go(live))

    async def _let_go(self, live: LiveWork) -> None:
        try:
            waits, asked = await self._ledger.waiting_elsewhere(live.work_id)
        except ExecutorError:
            # Who does not know asks again.
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
        self.live.pop(live.work_id, None)
        live.dismiss()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        # Plain asyncio: the tasks belong to no request and to no scope, and the first request may start them. Not begun
        # eagerly: under load a loop that takes many requests in one turn answers a third more of them.
        task = asyncio.get_running_loop().create_task(work)
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
