"""Live work: who waits for it, what it lingers for, and how it is stopped."""

from __future__ import annotations

import anyio
import pytest
from anyio import to_thread

from executor_sdk.cancelling import Stop
from executor_sdk.errors import TaskCancelled
from executor_sdk.executions.live import LiveWork
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Key, State, Work

pytestmark = pytest.mark.anyio

KEY: Key = ("", "execute", "exec-1")
OTHER: Key = ("", "execute", "exec-2")


class Lapses:
    """Counts how often work had nobody left who wants it."""

    def __init__(self) -> None:
        self.count = 0
        self.happened = anyio.Event()

    def __call__(self, live: LiveWork) -> None:
        self.count += 1
        self.happened.set()


def make_live(lapses: Lapses | None = None, *, linger_s: float = 60.0) -> LiveWork:
    """Work that has been opened."""
    return LiveWork("work-1", KEY, linger_s=linger_s, lapsed=lapses or Lapses())


def ended() -> Work:
    """Work that has been answered."""
    return Work("work-1", None, State.ANSWERED, "owner", 1)


async def test_the_last_partial_output_is_kept() -> None:
    """Of many only one, and it stops who is no longer wanted."""
    live = make_live()
    live.partial(b'"so"')
    live.partial(b'"so far"')
    live.cancel("enough")

    with pytest.raises(TaskCancelled):
        live.partial(b'"too far"')
    assert live.partial_output == b'"too far"'


async def test_all_who_wait_get_the_ended_work() -> None:
    """Whichever ask they wait for."""
    live, got = make_live(), list[Work | None]()

    async def wait(key: Key) -> None:
        got.append(await live.wait(key, Presence()))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for key in (KEY, OTHER):
                group.start_soon(wait, key)
            await anyio.wait_all_tasks_blocked()
            assert live.wanted
            live.finish(ended())

    assert got == [ended(), ended()]
    assert not live.wanted


async def test_a_dismissed_ask_looks_again_and_the_others_stay() -> None:
    """One ask was withdrawn; the work is still wanted."""
    live, got = make_live(), list[Work | None]()

    async def wait(key: Key) -> None:
        got.append(await live.wait(key, Presence()))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(wait, KEY)
            group.start_soon(wait, OTHER)
            await anyio.wait_all_tasks_blocked()
            live.dismiss(KEY)
            await anyio.wait_all_tasks_blocked()
            assert got == [None]
            live.finish(ended())

    assert got == [None, ended()]


async def test_work_lapses_once_nobody_waits() -> None:
    """Not while somebody does, and not once it has ended."""
    lapses = Lapses()
    live, presence = make_live(lapses, linger_s=0.01), Presence[Work]()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(live.wait, KEY, presence)
            await anyio.wait_all_tasks_blocked()
            assert lapses.count == 0
            presence.leave()
        await lapses.happened.wait()
        live.linger()
        live.finish(ended())

    assert lapses.count == 1


async def test_a_cancel_from_a_thread_stops_the_task_in_its_loop() -> None:
    """Only once, for the first reason; and not at all once the work only writes down its end."""
    live, stopped = make_live(), anyio.Event()

    async def work() -> None:
        live.stop = Stop()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            stopped.set()
            live.stop.take_back()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await anyio.wait_all_tasks_blocked()
            await to_thread.run_sync(lambda: live.cancel("not needed"))
            await stopped.wait()
    live.stop = None
    live.cancel("too late", cut_as=State.LOST)

    assert (live.cancel_reason, live.cut_as) == ("not needed", State.CANCELLED)
    assert live.cancelled()
    with pytest.raises(TaskCancelled):
        live.progress(0.5, "")
