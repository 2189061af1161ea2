"""One task is stopped, held for a while, told apart from what others did to it; alarms ring in their order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import pytest

from executor_sdk import cancelling
from executor_sdk.cancelling import Alarms, Hold, Stop

pytestmark = pytest.mark.anyio


async def test_a_stop_is_taken_back_and_the_task_goes_on() -> None:
    """The cancellation was this object's own, so whoever caught it may forget it."""
    stop = Stop()
    stop.strike()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)

    assert (stop.strikes, stop.from_outside) == (1, False)
    stop.take_back()

    task = asyncio.current_task()
    assert task is not None
    assert (stop.strikes, task.cancelling()) == (0, 0)
    await asyncio.sleep(0)


async def test_what_others_asked_of_the_task_is_from_outside() -> None:
    """Before it was made it does not count, and a strike of its own does not hide it."""
    seen: list[tuple[bool, bool]] = []

    async def work() -> None:
        stop = Stop()
        before = stop.from_outside
        stop.strike()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append((before, stop.from_outside))
            raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert seen == [(False, True)]
    assert task.cancelled()


class Bell:
    """Notes that it rang."""

    def __init__(self, name: str, rung: list[str]) -> None:
        self.name = name
        self.rung = rung
        self.heard = asyncio.Event()

    def ring(self) -> None:
        """The time is over."""
        self.rung.append(self.name)
        self.heard.set()


async def test_alarms_ring_in_the_order_in_which_they_were_set() -> None:
    """Those that were cleared do not, whenever that was; clearing one that is not set does nothing."""
    rung: list[str] = []
    alarms, bells = Alarms(0.01), [Bell(name, rung) for name in "abcd"]
    for bell in bells:
        alarms.set(bell)
    alarms.clear(bells[1])
    alarms.clear(bells[1])

    with anyio.fail_after(5):
        await bells[3].heard.wait()

    assert rung == ["a", "c", "d"]


async def test_an_alarm_that_is_set_later_rings_later() -> None:
    """One timer serves all: it goes on with the oldest that is left."""
    rung: list[str] = []
    alarms, first, second = Alarms(0.02), Bell("first", rung), Bell("second", rung)
    alarms.set(first)
    await asyncio.sleep(0.01)
    alarms.set(second)

    with anyio.fail_after(5):
        await first.heard.wait()
        assert rung == ["first"]
        await second.heard.wait()
        alarms.set(first)
        first.heard.clear()
        await first.heard.wait()

    assert rung == ["first", "second", "first"]


async def test_ten_thousand_alarms_share_one_timer() -> None:
    """Setting and clearing them leaves nothing behind in the loop."""
    alarms = Alarms(60)
    bells = [Bell("never", []) for _ in range(10_000)]
    for bell in bells:
        alarms.set(bell)
        alarms.clear(bell)

    loop = asyncio.get_running_loop()
    assert sum(not handle.cancelled() for handle in loop._scheduled) <= 1  # type: ignore[attr-defined]


class Worker:
    """A task that works in blocks which must not be interrupted, and what it has said on the way."""

    def __init__(self, work: Callable[[Worker], Awaitable[None]]) -> None:
        self.said: list[str] = []
        self.go_on = asyncio.Event()
        self.task: asyncio.Task[None] = asyncio.create_task(self._run(work))
        self.hold = Hold(self.task, lambda: self.said.append("overdue"))
        self.stops = [Stop(self.task), Stop(self.task)]

    async def _run(self, work: Callable[[Worker], Awaitable[None]]) -> None:
        try:
            await work(self)
        except asyncio.CancelledError:
            self.said.append("interrupted")
        finally:
            self.hold.dissolve()

    async def ended(self) -> list[str]:
        """What it has said when it has ended."""
        with anyio.fail_after(5):
            await asyncio.wait([self.task])
        return self.said


async def block(worker: Worker) -> None:
    """One block, within which the worker waits until it may go on; another one inside."""
    outer, inner = worker.hold.enter(5), worker.hold.enter(5)
    worker.said.append("in")
    await worker.go_on.wait()
    assert worker.hold.leave(inner) is False
    await asyncio.sleep(0)
    worker.said.append("out")
    worker.said.append(str(worker.hold.leave(outer)))
    await asyncio.sleep(0)
    worker.said.append("after")


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_stops_wait_for_the_outermost_block(count: int) -> None:
    """However many there are, and however often each of them strikes."""
    worker = Worker(block)
    await asyncio.sleep(0)
    for stop in worker.stops[:count] * 2:
        stop.strike()
        assert (stop.strikes, worker.task.cancelling()) == (0, 0)
    worker.go_on.set()

    assert await worker.ended() == ["in", "out", *(["True", "interrupted"] if count else ["False", "after"])]
    assert [stop.strikes for stop in worker.stops] == [1] * count + [0] * (2 - count)
    assert worker.task.cancelling() == count


async def test_who_cancels_the_task_himself_interrupts_a_block() -> None:
    """An event loop that ends does so."""
    worker = Worker(block)
    await asyncio.sleep(0)
    worker.task.cancel()

    assert await worker.ended() == ["in", "interrupted"]


async def test_a_block_has_a_longest_time() -> None:
    """After which it is interrupted, and that is told; one that ends in time leaves no timer behind."""

    async def slow(worker: Worker) -> None:
        outer, inner = worker.hold.enter(0.01), worker.hold.enter(5)
        await worker.go_on.wait()
        worker.hold.leave(inner)
        try:
            await asyncio.Event().wait()
        finally:
            worker.hold.leave(outer)

    worker = Worker(slow)
    await asyncio.sleep(0)
    worker.stops[0].strike()
    worker.go_on.set()

    assert await worker.ended() == ["overdue", "interrupted"]
    assert worker.hold._timer is None


async def test_a_block_that_begins_while_a_stop_waits_adds_no_time() -> None:
    """Blocks that overlap could put it off for good."""

    async def chained(worker: Worker) -> None:
        ends_s = [worker.hold.enter(0.01)]
        await worker.go_on.wait()
        while True:
            ends_s.append(worker.hold.enter(5))
            await asyncio.sleep(0)
            worker.hold.leave(ends_s.pop(0))

    worker = Worker(chained)
    await asyncio.sleep(0)
    worker.stops[0].strike()
    worker.go_on.set()

    assert await worker.ended() == ["overdue", "interrupted"]


async def test_a_stop_after_the_time_of_a_block_strikes_at_once() -> None:
    """Nothing has waited, so nothing is told."""

    async def slow(worker: Worker) -> None:
        worker.hold.enter(0.001)
        while worker.hold.left_s:
            await asyncio.sleep(0)
        worker.stops[0].strike()
        await asyncio.sleep(0)

    assert await Worker(slow).ended() == ["interrupted"]


async def test_a_block_in_a_thread_holds_the_task_that_waits_for_it() -> None:
    """The stop strikes in the loop once the thread says that the block has ended."""
    held, go_on = threading.Event(), threading.Event()

    def in_thread(worker: Worker) -> None:
        end_s = worker.hold.enter(5)
        held.set()
        go_on.wait(5)
        worker.said.append(str(worker.hold.leave(end_s)))

    worker = Worker(lambda worker: anyio.to_thread.run_sync(in_thread, worker, abandon_on_cancel=True))
    while not held.is_set():
        await asyncio.sleep(0)
    worker.stops[0].strike()
    assert worker.task.cancelling() == 0
    go_on.set()

    assert await worker.ended() == ["True", "interrupted"]


async def test_a_task_is_held_only_while_a_block_is_open() -> None:
    """A thread that has outlived its task may open one yet, and nobody dissolves the hold then."""
    task = asyncio.current_task()
    hold = Hold(task, lambda: None)
    outer, inner = hold.enter(5), hold.enter(5)
    hold.leave(inner)
    assert task in cancelling._holds
    hold.leave(outer)

    assert task not in cancelling._holds


async def test_what_waits_is_forgotten_with_the_hold() -> None:
    """The task goes on to other things, which no stop of the work may hit; a block that is still open holds nothing."""

    async def left_open(worker: Worker) -> None:
        end_s = worker.hold.enter(5)
        await worker.go_on.wait()
        worker.hold.dissolve()
        worker.said.append(str(worker.hold.leave(end_s)))
        await asyncio.sleep(0)
        worker.said.append("after")

    worker = Worker(left_open)
    await asyncio.sleep(0)
    worker.stops[0].strike()
    worker.go_on.set()

    assert await worker.ended() == ["False", "after"]
    assert worker.task.cancelling() == 0
    assert worker.task not in cancelling._holds
