"""Executions: an ask comes in, and replays finished work, joins or adopts running work, or opens new work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from executor_sdk.errors import DrainingError, SaturatedError, TaskLostError
from executor_sdk.executions.admission import Admission
from executor_sdk.executions.ledger import Ledger, StepBusyError
from executor_sdk.executions.live import Observer
from executor_sdk.executions.plan import How, Plan, Reply, WorkBounds
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Ask, Keep, Key, State, Work
from executor_sdk.executions.works import Works

#: Seconds between two looks at a ledger that was found full.
LOOK_AGAIN_S: Final = 0.25

#: New work between two prunings of the ledger.
PRUNE_EVERY: Final = 64


class Executions:
    """Which work an ask of this process belongs to, and the waiting for its end."""

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
        #: Verifying is short and must not wait behind executing, and an event is given up after three calls: each kind
        #: has slots of its own.
        self._admissions = {
            "execute": Admission(slots=bounds.slots, queue=bounds.queue),
            "verify": Admission(slots=bounds.slots, queue=bounds.queue),
            "event": Admission(slots=bounds.slots, queue=bounds.queue),
        }
        self._keep = keep
        self._drain_s = drain_s
        self._clock = clock or ledger.now_ms
        self._works = Works(ledger, self._clock, observer)
        self._draining = False
        self._waiting = 0
        self._held_bytes = 0
        self._has_room = True
        self._look_at_s = 0.0

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
            "overrunning": self._works.overrunning,
        }

    async def start(self) -> None:
        """Open the ledger.

        Raises:
            LedgerError: it cannot be opened.
        """
        await self._ledger.prepare()
        await self._ledger.bury(self._clock())

    @property
    def failure(self) -> str | None:
        """Why nothing can be done here at all; None while all is well."""
        if self._works.unrecorded:
            return f"the ends of {self._works.unrecorded} works cannot be recorded; the log has the reason"
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
                    patience_s = asyncio.get_running_loop().time() + plan.linger_s
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
            # Work that was cut has no answer. An ask without a start of its own may open new work; other asks are told.
            if plan is None or await self._has_had_its_start(ask, ended):
                raise _lost(ended)
        return None

    async def answered(self, keys: Sequence[Key]) -> None:
        """Whole answers to these asks went out, each to a caller who was there."""
        await self._ledger.answered(keys)

    async def find(self, key: Key) -> Work | None:
        """What is on record of the work of an ask; None if the ask is unknown, or forgotten."""
        return await self._ledger.find(key)

    async def turn_down(self, key: Key) -> None:
        """A candidate of this ask was judged and not passed: a later attempt is new work."""
        await self._ledger.turn_down(key)

    async def cancel(self, key: Key, reason: str) -> Work | None:
        """Withdraw one ask. The work stops when no other ask is left; None if the ask is unknown."""
        work = await self._ledger.withdraw(key, reason)
        live = None if work is None else self._works.live.get(work.work_id)
        if work is not None and live is not None and not work.ended:
            live.dismiss(key)
            if work.cancel_reason is not None:
                live.cancel(work.cancel_reason)
        return work

    async def drain(self) -> None:
        """Open no new work, give running work its time, cut what is left as LOST, and close the ledger."""
        self._draining = True
        await self._works.drain(self._drain_s)
        await self._ledger.close()

    async def _work_for(self, ask: Ask, plan: Plan | None) -> tuple[Work, How]:
        """The work of `ask`: with a slot to be had one call to the ledger finds or opens it."""
        admission = self._admissions[ask.key[1]]
        while True:
            if (
                plan is not None
                and self._has_place(plan, admission)
                # Nearly always there is room; it is looked for now and then, and each time where there was none. Others
                # may have come meanwhile, or a drain may have begun, so the place is asked for again.
                and (self._is_roomy or (await self._has_made_room() and self._has_place(plan, admission)))
            ):
                created, work = await self._works.open(ask, plan, admission.enter(plan.lane, plan.size_bytes))
                return work, How.OPENED if created else _how(work)
            # Copies hold a place, too, until the ledger has said what they are: then there may be one again.
            in_doubt = self._works.in_doubt
            if (found := await self._ledger.join(ask)) is not None:
                return found, _how(found)
            if plan is None or not in_doubt:
                raise self._why_closed(plan)

    def _has_place(self, plan: Plan, admission: Admission) -> bool:
        """Whether there is a slot for the plan, or a place in the queue and bytes to hold it there; none in a drain."""
        if self._draining:
            return False
        return admission.has_slot(plan.lane) or (admission.has_room(plan.lane) and self._fits(plan))

    @property
    def _is_roomy(self) -> bool:
        return self._has_room and self._works.opened % PRUNE_EVERY > 0 and not self._works.unrecorded

    async def _has_made_room(self) -> bool:
        """Whether the ledger takes another record, after forgetting what it may."""
        if self._works.unrecorded:
            return False
        now_s = asyncio.get_running_loop().time()
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
        if self._works.unrecorded:
            return SaturatedError("what has ended cannot be recorded now; ask again later")
        if not self._has_room:
            return SaturatedError("the ledger is full of answers that must be kept a while; ask again later")
        return SaturatedError(f"all slots are taken and {self._bounds.queue} tasks wait; ask again later")

    def _fits(self, plan: Plan) -> bool:
        queued = sum(admission.waiting_bytes for admission in self._admissions.values())
        return queued + self._held_bytes + plan.size_bytes <= self._bounds.waiting_bytes

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
        if (live := self._works.live.get(work.work_id)) is not None:
            return live.ended or await live.wait(key, presence)
        # Not here, when the ledger was read: it has ended since, or is another process's, or nobody's.
        current = await self._ledger.find(key)
        if current is None or current.ended or current.work_id in self._works.live:
            return current if current is not None and current.ended else None
        if current.owner == self._ledger.owner:
            return await self._ledger.end(current.work_id, State.LOST, None, self._clock())
        return await self._works.elsewhere.wait(key, current.work_id, presence)

    async def _wait_for_rest(self, plan: Plan, until_s: float, presence: Presence[Work]) -> None:
        """Wait for the threads that the step's last work has left behind; no longer than work lingers."""
        if asyncio.get_running_loop().time() >= until_s:
            raise SaturatedError("the last attempt at this step was stopped, but its code still runs; ask again later")
        self._check_waiting()
        if not self._fits(plan):
            raise SaturatedError(f"what waits already holds {self._held_bytes} bytes; ask again later")
        self._waiting += 1
        self._held_bytes += plan.size_bytes
        try:
            await self._works.elsewhere.moment(presence)
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


def _how(found: Work) -> How:
    return How.REPLAYED if found.ended else How.JOINED


def _lost(work: Work) -> TaskLostError:
    if work.state is State.CANCELLED:
        sentence = f"the work was cancelled: {work.cancel_reason or 'nobody said why'}"
    else:
        sentence = f"the work was cut: {work.cancel_reason or 'its process died'}; ask again with a new attempt"
    return TaskLostError(sentence, details={"state": work.state, "reason": work.cancel_reason})
