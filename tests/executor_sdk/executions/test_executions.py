"""Copies join, finished work replays, later attempts adopt, a dropped caller lingers, and what races does so once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from msgspec import structs

from executor_sdk.errors import (
    BodyDiffersError,
    DrainingError,
    SaturatedError,
    TaskCancelled,
    TaskLostError,
)
from executor_sdk.executions.admission import Lane
from executor_sdk.executions.executions import PRUNE_EVERY, Executions
from executor_sdk.executions.ledger import LedgerError
from executor_sdk.executions.live import LiveWork, Observer
from executor_sdk.executions.memory import MemoryLedger
from executor_sdk.executions.plan import How, Plan, Reply, WorkBounds
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Ask, Keep, Outcome, State, StepAttempt, Work

pytestmark = pytest.mark.anyio

KEEP = Keep(count=100, total_bytes=100_000, age_ms=1_000_000)
ANSWER = Outcome(200, b"{}")


class Effect:
    """A side effect that can be counted, held, and seen to stop."""

    def __init__(self) -> None:
        self.starts = 0
        self.started = anyio.Event()
        self.go_on = anyio.Event()
        self.stopped = anyio.Event()

    async def perform(self, live: LiveWork) -> Outcome:
        """Count the start, wait until told to go on, and answer."""
        self.starts += 1
        self.started.set()
        try:
            await self.go_on.wait()
        finally:
            self.stopped.set()
        return ANSWER


def make_executions(
    *,
    slots: int = 4,
    queue: int = 4,
    drain_s: float = 0.05,
    observer: Observer | None = None,
    ledger: MemoryLedger | None = None,
    keep: Keep = KEEP,
    **bounds: int,
) -> Executions:
    """Executions on an empty ledger in memory."""
    return Executions(
        ledger or MemoryLedger(),
        bounds=WorkBounds(slots, queue, **bounds),
        keep=keep,
        drain_s=drain_s,
        observer=observer,
    )


def make_plan(
    perform: Callable[[LiveWork], Awaitable[Outcome]], *, linger_s: float = 30.0, lane: Lane | None = None
) -> Plan:
    """A plan in a lane without a limit."""
    return Plan(lane or Lane("swarm"), linger_s, perform)


def make_ask(key: str = "exec-1", *, body: bytes = b"body", attempt: int | None = None) -> Ask:
    """An ask, of one step if it has an attempt."""
    return Ask(("", "execute", key), body, None if attempt is None else StepAttempt(b"step", attempt))


async def instantly(live: LiveWork) -> Outcome:
    """Work that ends at once."""
    return ANSWER


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about."""
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.001)


async def test_five_overlapping_copies_are_one_work() -> None:
    """All get the same answer; one opened it and four joined."""
    executions, effect, answers = make_executions(), Effect(), list[Reply | None]()

    async def ask() -> None:
        answers.append(await executions.run(make_ask(), make_plan(effect.perform)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
            await effect.started.wait()
            effect.go_on.set()

    assert effect.starts == 1
    assert [answer.outcome for answer in answers if answer] == [ANSWER] * 5
    assert sorted(answer.how for answer in answers if answer) == [How.JOINED] * 4 + [How.OPENED]


async def test_finished_work_is_replayed() -> None:
    """A copy that comes after the end gets the recorded answer and starts nothing."""
    executions, effect = make_executions(), Effect()
    effect.go_on.set()
    await executions.run(make_ask(), make_plan(effect.perform))

    answer = await executions.run(make_ask(), make_plan(effect.perform))

    assert answer == Reply(("", "execute", "exec-1"), ANSWER, How.REPLAYED)
    assert effect.starts == 1


async def test_a_crash_is_answered_and_replayed() -> None:
    """What a plan raises is a 500 for everybody, whatever kind of exception it is."""

    async def crash(live: LiveWork) -> Outcome:
        raise SystemExit(3)

    executions = make_executions()
    answers = [await executions.run(make_ask(), make_plan(crash)) for _ in range(2)]

    assert [(answer.outcome.status, answer.how) for answer in answers if answer] == [
        (500, How.OPENED),
        (500, How.REPLAYED),
    ]


async def test_a_cancellation_of_the_handlers_own_is_a_crash() -> None:
    """A handler that lets an inner task's cancellation escape is answered, not lost."""

    async def leak(live: LiveWork) -> Outcome:
        raise anyio.get_cancelled_exc_class()

    answer = await make_executions().run(make_ask(), make_plan(leak))

    assert answer is not None
    assert answer.outcome.status == 500


async def test_another_body_is_refused_while_the_work_runs_and_after() -> None:
    """The first body keeps the id."""
    executions, effect = make_executions(), Effect()
    async with anyio.create_task_group() as group:
        group.start_soon(executions.run, make_ask(), make_plan(effect.perform))
        await effect.started.wait()
        with pytest.raises(BodyDiffersError):
            await executions.run(make_ask(body=b"other"), make_plan(instantly))
        effect.go_on.set()
    with pytest.raises(BodyDiffersError):
        await executions.run(make_ask(body=b"other"), make_plan(instantly))


async def test_a_dropped_caller_leaves_and_the_work_goes_on() -> None:
    """The run returns None at once; the next copy gets the answer of the same work."""
    executions, effect, presence = make_executions(), Effect(), Presence[Work]()
    left = list[Reply | None]()

    async def ask() -> None:
        left.append(await executions.run(make_ask(), make_plan(effect.perform), presence))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await effect.started.wait()
        presence.leave()
    effect.go_on.set()
    answer = await executions.run(make_ask(), make_plan(effect.perform))

    assert left == [None]
    assert answer is not None
    assert answer.outcome == ANSWER
    assert effect.starts == 1


async def test_work_that_nobody_comes_back_for_is_cancelled() -> None:
    """After the linger time the handler is stopped, and its own execution id is told so."""
    executions, effect, presence = make_executions(), Effect(), Presence[Work]()
    async with anyio.create_task_group() as group:
        group.start_soon(executions.run, make_ask(), make_plan(effect.perform, linger_s=0.02), presence)
        await effect.started.wait()
        presence.leave()
    with anyio.fail_after(5):
        await effect.stopped.wait()

    with pytest.raises(TaskLostError, match="nobody asks for it any more"):
        await executions.run(make_ask(), make_plan(instantly))
    assert effect.starts == 1


async def test_a_cancelled_request_leaves_like_a_dropped_caller() -> None:
    """Cancelling the task of a request does not touch the work."""
    executions, effect = make_executions(), Effect()
    async with anyio.create_task_group() as group:
        group.start_soon(executions.run, make_ask(), make_plan(effect.perform))
        await effect.started.wait()
        group.cancel_scope.cancel()
    effect.go_on.set()

    answer = await executions.run(make_ask(), make_plan(instantly))

    assert answer is not None
    assert answer.how in {How.JOINED, How.REPLAYED}
    assert effect.starts == 1


async def test_a_later_attempt_adopts_running_work() -> None:
    """Two attempts of one step that overlap have one side effect and one answer."""
    executions, effect, answers = make_executions(), Effect(), list[Reply | None]()

    async def ask(key: str, attempt: int) -> None:
        answers.append(
            await executions.run(make_ask(key, body=key.encode(), attempt=attempt), make_plan(effect.perform))
        )

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "exec-1", 1)
        await effect.started.wait()
        group.start_soon(ask, "exec-2", 2)
        await anyio.wait_all_tasks_blocked()
        effect.go_on.set()

    assert effect.starts == 1
    assert [answer.outcome for answer in answers if answer] == [ANSWER, ANSWER]


async def test_a_success_is_kept_until_somebody_says_no() -> None:
    """An answer that was heard is not an answer that counted: attempts adopt it until its candidate is turned down."""
    executions, effect = make_executions(), Effect()
    effect.go_on.set()
    for attempt in (1, 2, 3):
        reply = await executions.run(make_ask(f"exec-{attempt}", attempt=attempt), make_plan(effect.perform))
        assert reply is not None
        assert reply.key is not None
        await executions.answered([reply.key])
    assert effect.starts == 1

    await executions.turn_down(("", "execute", "exec-2"))
    opened = await executions.run(make_ask("exec-4", attempt=4), make_plan(effect.perform))

    assert opened is not None
    assert opened.how is How.OPENED
    assert effect.starts == 2


async def test_who_wants_new_work_adopts_nothing() -> None:
    """The caller says so; its own copies still join and replay, and later attempts adopt what it got."""
    executions, effect = make_executions(), Effect()
    effect.go_on.set()
    await executions.run(make_ask("exec-1", attempt=1), make_plan(effect.perform))
    wanting = structs.replace(make_ask("exec-2", attempt=2), wants_new_work=True)

    replies = [await executions.run(wanting, make_plan(effect.perform)) for _ in range(2)]
    later = await executions.run(make_ask("exec-3", attempt=3), make_plan(effect.perform))

    assert [reply.how for reply in (*replies, later) if reply] == [How.OPENED, How.REPLAYED, How.REPLAYED]
    assert effect.starts == 2


async def test_the_same_id_of_another_caller_is_another_ask() -> None:
    """Who may not see a thing may not replay it."""
    executions, effect = make_executions(), Effect()
    effect.go_on.set()
    await executions.run(make_ask(), make_plan(effect.perform))

    reply = await executions.run(Ask(("somebody", "execute", "exec-1"), b"other"), make_plan(effect.perform))

    assert reply is not None
    assert reply.how is How.OPENED


async def test_an_attempt_that_adopts_dying_work_opens_its_own() -> None:
    """It comes while the cancelled handler still cleans up: no overlap, and no lost attempt."""
    executions, presence = make_executions(), Presence[Work]()
    starts, cleaning, cleaned, order = 0, anyio.Event(), anyio.Event(), list[str]()

    async def perform(live: LiveWork) -> Outcome:
        nonlocal starts
        starts += 1
        order.append(f"start {starts}")
        if starts > 1:
            return ANSWER
        try:
            presence.leave()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                cleaning.set()
                await cleaned.wait()
            order.append("stop 1")
        raise AssertionError

    with anyio.fail_after(5):
        await executions.run(make_ask("exec-1", attempt=1), make_plan(perform, linger_s=0.01), presence)
        await cleaning.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(executions.run, make_ask("exec-2", attempt=2), make_plan(perform))
            await anyio.wait_all_tasks_blocked()
            cleaned.set()

    assert order == ["start 1", "stop 1", "start 2"]


async def test_a_full_house_refuses_new_work_but_not_copies() -> None:
    """Joins and replays take no slot."""
    executions, effect = make_executions(slots=1, queue=0), Effect()
    async with anyio.create_task_group() as group:
        group.start_soon(executions.run, make_ask("exec-1", attempt=1), make_plan(effect.perform))
        await effect.started.wait()

        with pytest.raises(SaturatedError):
            await executions.run(make_ask("exec-9"), make_plan(instantly))
        group.start_soon(executions.run, make_ask("exec-1", attempt=1), make_plan(instantly))
        group.start_soon(executions.run, make_ask("exec-2", attempt=2), make_plan(instantly))
        await anyio.wait_all_tasks_blocked()
        effect.go_on.set()

    late = await executions.run(make_ask("exec-9"), make_plan(instantly))
    assert late is not None
    assert late.how is How.OPENED


async def test_a_cancelled_queued_ask_never_starts() -> None:
    """Cancelling what waits for a slot neither starts it nor touches what runs."""
    executions, effect, waiting = make_executions(slots=1), Effect(), Effect()
    async with anyio.create_task_group() as group:
        group.start_soon(executions.run, make_ask("exec-1"), make_plan(effect.perform))
        await effect.started.wait()

        async def wait_in_vain() -> None:
            with pytest.raises(TaskLostError, match="not needed"):
                await executions.run(make_ask("exec-2"), make_plan(waiting.perform))

        group.start_soon(wait_in_vain)
        await until(lambda: executions.load["waiting"] == 1)
        cancelled = await executions.cancel(("", "execute", "exec-2"), "not needed")
        await until(lambda: executions.load["waiting"] == 0)
        assert not effect.stopped.is_set()
        effect.go_on.set()

    assert cancelled is not None
    assert cancelled.cancel_reason == "not needed"
    assert (effect.starts, waiting.starts) == (1, 0)


async def test_cancelling_one_ask_leaves_the_work_to_the_other() -> None:
    """The cancelled one hears it at once; the other gets the answer."""
    executions, effect, answers = make_executions(), Effect(), list[Reply | None]()

    async def first() -> None:
        with pytest.raises(TaskLostError):
            await executions.run(make_ask("exec-1", attempt=1), make_plan(effect.perform))
        effect.go_on.set()

    async def second() -> None:
        answers.append(await executions.run(make_ask("exec-2", attempt=2), make_plan(effect.perform)))

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await effect.started.wait()
        group.start_soon(second)
        await anyio.wait_all_tasks_blocked()
        await executions.cancel(("", "execute", "exec-1"), "not needed")

    assert [answer.outcome for answer in answers if answer] == [ANSWER]


async def test_a_finish_before_the_cancel_wins() -> None:
    """The answer that was there first is replayed; the cancel changed nothing."""
    executions = make_executions()
    await executions.run(make_ask(), make_plan(instantly))

    work = await executions.cancel(("", "execute", "exec-1"), "late")

    assert work is not None
    assert work.state is State.ANSWERED
    answer = await executions.run(make_ask(), make_plan(instantly))
    assert answer is not None
    assert answer.outcome == ANSWER


async def test_a_handler_that_finishes_in_spite_of_a_cancel_is_believed() -> None:
    """Its effect happened, so its answer is recorded."""
    executions, started = make_executions(), anyio.Event()

    async def stubborn(live: LiveWork) -> Outcome:
        started.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            pass
        return ANSWER

    async def ask() -> None:
        with pytest.raises(TaskLostError):
            await executions.run(make_ask("exec-1", attempt=1), make_plan(stubborn))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await started.wait()
        await executions.cancel(("", "execute", "exec-1"), "not needed")
    adopted = await executions.run(make_ask("exec-2", attempt=2), make_plan(instantly))

    assert adopted is not None
    assert adopted.how is How.REPLAYED


async def test_progress_stops_plain_code_once_cancelled() -> None:
    """An observer may cancel by progress: the very call that reports it raises."""
    reached = list[float]()
    executions = make_executions(observer=lambda key, fraction, note, partial: "enough" if fraction >= 0.5 else None)

    async def plain(live: LiveWork) -> Outcome:
        def steps() -> None:
            for n in range(10):
                reached.append(n / 10)
                live.progress(n / 10, "")

        try:
            await anyio.to_thread.run_sync(steps)
        except TaskCancelled:
            assert live.cancelled()
            raise
        return ANSWER

    with pytest.raises(TaskLostError, match="enough"):
        await executions.run(make_ask(), make_plan(plain))
    assert reached == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


class SlowLedger(MemoryLedger):
    """A ledger that has to wait for its disk before it writes how work ended."""

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
        await anyio.sleep(0.01)
        return await super().end(work_id, state, outcome, now_ms, reason=reason, busy=busy)


async def test_work_that_cancels_itself_while_it_runs_is_still_written_down() -> None:
    """The cancellation that it never waited for must not hit the writing of its end."""
    ledger = SlowLedger()
    executions = make_executions(ledger=ledger, observer=lambda key, fraction, note, partial: "enough")

    async def halfway(live: LiveWork) -> Outcome:
        live.progress(0.5, "half")
        return ANSWER

    with anyio.fail_after(5), pytest.raises(TaskLostError, match="enough"):
        await executions.run(make_ask(), make_plan(halfway))

    work = await ledger.find(("", "execute", "exec-1"))
    assert work is not None
    assert (work.state, work.cancel_reason) == (State.CANCELLED, "enough")


async def test_draining_opens_nothing_but_answers_who_waits() -> None:
    """Running work ends in its time, copies and replays are served, new work is refused."""
    executions, effect, answers = make_executions(drain_s=5), Effect(), list[Reply | None]()

    async def copy() -> None:
        answers.append(await executions.run(make_ask(), make_plan(effect.perform)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(copy)
            await effect.started.wait()
            group.start_soon(executions.drain)
            await until(lambda: executions.draining)
            group.start_soon(copy)
            with pytest.raises(DrainingError):
                await executions.run(make_ask("exec-9"), make_plan(instantly))
            effect.go_on.set()
        replayed = await executions.run(make_ask(), make_plan(instantly))

    assert [answer.outcome for answer in (*answers, replayed) if answer] == [ANSWER] * 3


async def test_a_drain_that_begins_while_room_is_made_opens_nothing() -> None:
    """The ledger may take its time to say that there is room; what was allowed before the drain no longer is."""

    class Slow(MemoryLedger):
        """Says that there is room once it is told to go on."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.go_on = anyio.Event(), anyio.Event()

        async def make_room(self, keep: Keep, now_ms: int) -> bool:
            self.asked.set()
            await self.go_on.wait()
            return await super().make_room(keep, now_ms)

    ledger, effect = Slow(), Effect()
    executions = make_executions(ledger=ledger)
    executions._has_room = False

    async def ask() -> None:
        with pytest.raises(DrainingError):
            await executions.run(make_ask(), make_plan(effect.perform))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await ledger.asked.wait()
            await executions.drain()
            effect.go_on.set()
            ledger.go_on.set()

    assert effect.starts == 0


async def test_what_a_drain_cuts_is_lost_not_failed() -> None:
    """The caller is told to ask again with a new attempt."""
    executions, effect = make_executions(drain_s=0.01), Effect()

    async def ask() -> None:
        with pytest.raises(TaskLostError) as lost:
            await executions.run(make_ask(), make_plan(effect.perform))
        assert lost.value.details == {"state": "LOST", "reason": "the executor shut down"}

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await effect.started.wait()
            await executions.drain()

    assert effect.stopped.is_set()


async def test_finished_work_is_forgotten_within_bounds() -> None:
    """A long life keeps no more than the settings say."""
    ledger = MemoryLedger()
    executions = make_executions(ledger=ledger, keep=Keep(count=10, total_bytes=100_000, age_ms=1_000_000))

    for number in range(4 * PRUNE_EVERY):
        await executions.run(make_ask(f"exec-{number}"), make_plan(instantly))

    assert len(await ledger.page("", 1_000)) <= 10 + PRUNE_EVERY


async def test_lanes_bound_one_handler_and_do_not_hold_up_others() -> None:
    """A handler at its limit waits while another one's work passes it in the queue."""
    executions, effect, lane = make_executions(slots=2), Effect(), Lane("slow", 1)
    async with anyio.create_task_group() as group:
        group.start_soon(executions.run, make_ask("exec-1"), make_plan(effect.perform, lane=lane))
        await effect.started.wait()
        group.start_soon(executions.run, make_ask("exec-2"), make_plan(effect.perform, lane=lane))
        await until(lambda: executions.load["waiting"] == 1)

        passed = await executions.run(make_ask("exec-3"), make_plan(instantly, lane=Lane("fast")))
        assert passed is not None
        assert effect.starts == 1
        effect.go_on.set()

    assert effect.starts == 2
    assert (executions.load["running"], executions.load["waiting"]) == (0, 0)


class Overrun:
    """A handler whose thread goes on when its work is over."""

    def __init__(self) -> None:
        self.starts = 0
        self.returned: asyncio.Future[list[None]] = asyncio.get_running_loop().create_future()

    async def perform(self, live: LiveWork) -> Outcome:
        """Fail at the deadline, the first time, and leave a thread behind."""
        self.starts += 1
        if self.starts > 1:
            return ANSWER
        live.rest = self.returned
        return Outcome(504, b"{}")


async def test_the_next_attempt_waits_for_the_thread_of_the_last() -> None:
    """At its deadline a plain function still runs; its step starts no second one until it has returned."""
    executions, overrun, replies = make_executions(), Overrun(), list[Reply | None]()
    failed = await executions.run(make_ask("exec-1", attempt=1), make_plan(overrun.perform))
    load_after_the_deadline = executions.load

    async def next_attempt() -> None:
        replies.append(await executions.run(make_ask("exec-2", attempt=2), make_plan(overrun.perform)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(next_attempt)
            await until(lambda: executions.load["joined"] == 1)
            assert overrun.starts == 1
            overrun.returned.set_result([])

    assert failed is not None
    assert failed.outcome.status == 504
    assert (load_after_the_deadline["running"], load_after_the_deadline["overrunning"]) == (1, 1)
    assert [reply.how for reply in replies if reply] == [How.OPENED]
    assert overrun.starts == 2
    assert (executions.load["running"], executions.load["overrunning"]) == (0, 0)


async def test_an_attempt_that_waits_for_a_thread_gives_up_in_time() -> None:
    """503, so that it is asked again; no longer than work lingers."""
    executions, overrun = make_executions(), Overrun()
    await executions.run(make_ask("exec-1", attempt=1), make_plan(overrun.perform))

    with anyio.fail_after(5), pytest.raises(SaturatedError, match="its code still runs"):
        await executions.run(make_ask("exec-2", attempt=2), make_plan(overrun.perform, linger_s=0.05))

    assert overrun.starts == 1
    overrun.returned.set_result([])


async def test_those_who_wait_are_bounded() -> None:
    """Joining takes no slot, but a place among those who wait; the opener takes none of these."""
    executions, effect = make_executions(waiting=2), Effect()
    async with anyio.create_task_group() as group:
        group.start_soon(executions.run, make_ask("exec-1", attempt=1), make_plan(effect.perform))
        await effect.started.wait()
        group.start_soon(executions.run, make_ask("exec-1", attempt=1), make_plan(effect.perform))
        group.start_soon(executions.run, make_ask("exec-2", attempt=2), make_plan(effect.perform))
        await until(lambda: executions.load["joined"] == 2)

        with pytest.raises(SaturatedError, match="2 copies and attempts wait"):
            await executions.run(make_ask("exec-3", attempt=3), make_plan(effect.perform))
        effect.go_on.set()

    assert executions.load["joined"] == 0


async def test_those_who_wait_hold_no_more_bodies_than_they_may() -> None:
    """A plan within the bound is kept for the case that the work is cut; beyond it the body is let go at once."""
    executions, effect = make_executions(waiting_bytes=100), Effect()

    class Body:
        """Stands for the bytes of a request."""

    async def perform(body: Body, live: LiveWork) -> Outcome:
        return await effect.perform(live)

    alive = weakref.WeakSet[Body]()

    async def attempt(number: int) -> None:
        body = Body()
        alive.add(body)
        plan = Plan(Lane("swarm"), 30.0, partial(perform, body), size_bytes=60)
        run = executions.run(make_ask(f"exec-{number}", attempt=number), plan)
        del body, plan
        await run

    async with anyio.create_task_group() as group:
        for number in range(1, 6):
            group.start_soon(attempt, number)
            await until(lambda number=number: executions.load["joined"] == number - 1 and effect.starts == 1)  # type: ignore[misc]
        gc.collect()
        held = len(alive)
        effect.go_on.set()

    # The one that runs, and the one that fits.
    assert held == 2
    assert effect.starts == 1


async def test_a_ledger_full_of_what_must_be_kept_refuses_new_work_and_forgets_nothing() -> None:
    """Strangers cannot push out an answer that nobody has heard."""
    keep = Keep(count=1, total_bytes=1, age_ms=10**9, least_ms=10**6, unheard_ms=10**6, full_bytes=10_000)
    executions, effect = make_executions(keep=keep), Effect()
    effect.go_on.set()
    await executions.run(make_ask("mine"), make_plan(effect.perform))

    with pytest.raises(SaturatedError, match="must be kept a while"):
        for number in range(100):
            await executions.run(make_ask(f"strangers-{number}"), make_plan(instantly))
    mine = await executions.run(make_ask("mine"), make_plan(effect.perform))

    assert mine is not None
    assert mine.how is How.REPLAYED
    assert effect.starts == 1


class FullDisk(MemoryLedger):
    """A ledger that takes new work, but cannot write for a while how work ended, nor that it rests."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = True
        self.refused = 0

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
        self._check()
        return await super().end(work_id, state, outcome, now_ms, reason=reason, busy=busy)

    async def rest(self, work_id: str) -> None:
        self._check()
        await super().rest(work_id)

    async def waiting_elsewhere(self, work_id: str) -> tuple[bool, int]:
        self._check()
        return await super().waiting_elsewhere(work_id)

    def _check(self) -> None:
        if self.is_full:
            self.refused += 1
            raise LedgerError("the disk is full")


async def test_an_end_that_cannot_be_written_is_written_once_it_can() -> None:
    """The work is not done again: its answer is kept until the ledger takes it; meanwhile nothing new is opened."""
    ledger, effect, replies = FullDisk(), Effect(), list[Reply | None]()
    executions = make_executions(ledger=ledger)
    effect.go_on.set()

    async def ask(number: int) -> None:
        replies.append(await executions.run(make_ask(f"exec-{number}", attempt=number), make_plan(effect.perform)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, 1)
            await until(lambda: ledger.refused > 0)
            group.start_soon(ask, 2)
            await until(lambda: executions.load["joined"] == 2)
            failure = executions.failure
            with pytest.raises(SaturatedError, match="cannot be recorded"):
                await executions.run(make_ask("other"), make_plan(effect.perform))
            ledger.is_full = False

    assert [reply.outcome for reply in replies if reply] == [ANSWER] * 2
    assert effect.starts == 1
    assert failure is not None
    assert executions.failure is None
    assert await executions.run(make_ask("other"), make_plan(effect.perform)) is not None


async def test_a_drain_ends_although_nothing_can_be_written() -> None:
    """It tries as long as a drain may take, and no longer."""
    ledger, effect = FullDisk(), Effect()
    executions, presence = make_executions(ledger=ledger), Presence[Work]()
    effect.go_on.set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(executions.run, make_ask(), make_plan(effect.perform), presence)
            await until(lambda: ledger.refused > 0)
            presence.leave()
        await executions.drain()

    assert effect.starts == 1


async def test_a_step_rests_once_that_can_be_written() -> None:
    """Otherwise its next attempt would wait for a thread that returned long ago, as long as the process lives."""
    ledger, overrun = FullDisk(), Overrun()
    executions = make_executions(ledger=ledger)
    ledger.is_full = False
    await executions.run(make_ask("exec-1", attempt=1), make_plan(overrun.perform))
    ledger.is_full = True
    overrun.returned.set_result([])
    await until(lambda: ledger.refused > 0)
    ledger.is_full = False

    with anyio.fail_after(5):
        reply = await executions.run(make_ask("exec-2", attempt=2), make_plan(overrun.perform))

    assert reply is not None
    assert reply.how is How.OPENED
    assert executions.load["running"] == 0


async def test_work_that_nobody_wants_is_asked_about_again_where_the_ledger_could_not_tell() -> None:
    """One failed look must not let it run to its end unwanted."""
    ledger, effect, presence = FullDisk(), Effect(), Presence[Work]()
    executions = make_executions(ledger=ledger)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(executions.run, make_ask(), make_plan(effect.perform, linger_s=0.01), presence)
            await effect.started.wait()
            presence.leave()
        await until(lambda: ledger.refused > 0)
        ledger.is_full = False
        await effect.stopped.wait()


async def test_a_thread_that_returns_while_the_end_is_written_gives_its_slot_back() -> None:
    """Whether it is busy is asked once; asked twice, the slot would be lost, and the step busy for good."""

    class Disk(MemoryLedger):
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
            work = await super().end(work_id, state, outcome, now_ms, reason=reason, busy=busy)
            overrun.returned.set_result([])
            await anyio.lowlevel.checkpoint()
            return work

    overrun = Overrun()
    executions = make_executions(ledger=Disk(), slots=1)
    await executions.run(make_ask("exec-1", attempt=1), make_plan(overrun.perform))
    overrun.returned = asyncio.get_running_loop().create_future()

    with anyio.fail_after(5):
        reply = await executions.run(make_ask("exec-2", attempt=2), make_plan(overrun.perform, linger_s=1))

    assert reply is not None
    assert reply.how is How.OPENED
    assert (executions.load["running"], executions.load["overrunning"]) == (0, 0)


async def test_a_handler_that_cancels_its_own_task_leaves_nobody_waiting() -> None:
    """Asked from outside to stop, as when a loop goes down, the work is lost, and who waits hears it."""

    async def give_up(live: LiveWork) -> Outcome:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    executions = make_executions()

    with anyio.fail_after(5), pytest.raises(TaskLostError):
        await executions.run(make_ask(), make_plan(give_up))

    assert executions.load["running"] == 0


async def test_attempts_that_wait_for_a_thread_hold_no_more_bodies_than_they_may() -> None:
    """They need their plan to go on, so what does not fit is asked again later."""
    executions, overrun = make_executions(waiting_bytes=100), Overrun()
    await executions.run(make_ask("exec-1", attempt=1), make_plan(overrun.perform))

    async def attempt(number: int) -> None:
        plan = Plan(Lane("swarm"), 30.0, overrun.perform, size_bytes=60)
        await executions.run(make_ask(f"exec-{number}", attempt=number), plan)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(attempt, 2)
            await until(lambda: executions.load["joined"] == 1)
            with pytest.raises(SaturatedError, match="bytes"):
                await attempt(3)
            overrun.returned.set_result([])

    assert overrun.starts == 2


async def test_the_queue_holds_no_more_bodies_than_those_who_wait_may() -> None:
    """What waits for a slot needs its body; what does not fit is asked again later, and copies join all the same."""
    executions, effect = make_executions(slots=1, queue=10, waiting_bytes=100), Effect()

    async def ask(number: int) -> None:
        await executions.run(make_ask(f"exec-{number}"), Plan(Lane("swarm"), 30.0, effect.perform, size_bytes=60))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, 1)
            await effect.started.wait()
            group.start_soon(ask, 2)
            await until(lambda: executions.load["waiting"] == 1)
            with pytest.raises(SaturatedError, match="bytes"):
                await ask(3)
            group.start_soon(ask, 2)
            await until(lambda: executions.load["joined"] == 1)
            effect.go_on.set()
        await ask(3)

    assert effect.starts == 3


async def test_work_that_gets_its_slot_while_it_is_recorded_is_recorded_as_started() -> None:
    """Recorded as queued, it would start again under its own id after a crash."""

    class Disk(MemoryLedger):
        async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
            opened = await super().open(ask, new)
            if new.state is State.QUEUED:
                effect.go_on.set()
                await until(lambda: executions.load["waiting"] == 0)
            return opened

    ledger, effect, second = Disk(), Effect(), Effect()
    executions = make_executions(ledger=ledger, slots=1)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(executions.run, make_ask("exec-1"), make_plan(effect.perform))
            await effect.started.wait()
            group.start_soon(executions.run, make_ask("exec-2"), make_plan(second.perform))
            await second.started.wait()
            work = await ledger.find(("", "execute", "exec-2"))
            assert work is not None
            state, started_ms = work.state, work.started_ms
            second.go_on.set()

    assert state is State.RUNNING
    assert started_ms is not None


async def test_all_who_had_adopted_cut_work_get_the_answer_of_the_next() -> None:
    """One of them opens it, once; nobody hears that the work is lost, which is there again."""
    executions, effect, replies = make_executions(), Effect(), list[Reply | None]()
    cut = anyio.Event()

    async def perform(live: LiveWork) -> Outcome:
        if effect.starts == 0:
            effect.starts += 1
            await cut.wait()
            live.cancel("its process died", cut_as=State.LOST)
            await anyio.sleep_forever()
        return await effect.perform(live)

    async def attempt(number: int) -> None:
        replies.append(await executions.run(make_ask(f"exec-{number}", attempt=number), make_plan(perform)))

    async def first() -> None:
        with pytest.raises(TaskLostError):
            await attempt(1)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await until(lambda: effect.starts == 1)
            for number in (2, 3, 4):
                group.start_soon(attempt, number)
            await until(lambda: executions.load["joined"] == 3)
            cut.set()
            await effect.started.wait()
            effect.go_on.set()

    assert [reply.outcome for reply in replies if reply] == [ANSWER] * 3
    assert effect.starts == 2


class Doubtful(MemoryLedger):
    """Takes its time to say whether an ask is new."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.says = asyncio.Event()
        self.says.set()

    async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
        """Say so when it is let."""
        self.asked.set()
        await self.says.wait()
        return await super().open(ask, new)

    async def join(self, ask: Ask) -> Work | None:
        """In line behind the others."""
        await self.says.wait()
        return await super().join(ask)


async def test_copies_about_which_the_ledger_is_still_asked_shut_nobody_out() -> None:
    """They hold a place until it has said that they are copies; new work waits for that, and is not refused."""
    ledger, replies = Doubtful(), list[Reply | None]()
    executions = make_executions(ledger=ledger, slots=1, queue=0)
    await executions.run(make_ask("exec-1"), make_plan(instantly))
    ledger.asked.clear()
    ledger.says.clear()

    async def ask(key: str) -> None:
        replies.append(await executions.run(make_ask(key), make_plan(instantly)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, "exec-1")
            await ledger.asked.wait()
            group.start_soon(ask, "exec-2")
            await anyio.wait_all_tasks_blocked()
            ledger.says.set()

    assert [reply.how for reply in replies if reply] == [How.REPLAYED, How.OPENED]
