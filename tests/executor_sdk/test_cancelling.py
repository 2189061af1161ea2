"""One task is stopped, told apart from what others did to it, and taken back; alarms ring in their order."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from executor_sdk.cancelling import Alarms, Stop

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
