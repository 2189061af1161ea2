"""A fake clock skips what nobody works in, for asyncio and for the kit alike."""

from __future__ import annotations

import asyncio
import socket
import time as real_time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import anyio
import anyio.to_thread
import pytest

from executor_sdk import DefinitionError, Executor, Task, TaskTimeoutError, TryLater, in_process
from executor_sdk.testing import FakeTime, a_task

HOUR_S = 3600


@contextmanager
def at_once() -> Iterator[None]:
    """Far less than any of the waits in this file really takes."""
    begun_s = real_time.monotonic()
    yield
    assert real_time.monotonic() - begun_s < HOUR_S / 60


@pytest.fixture
def time() -> FakeTime:
    """A fresh clock."""
    return FakeTime()


@pytest.fixture
def executor() -> Executor:
    """An executor that waits as its inputs say."""
    executor = Executor("acme", "m-1")
    calls: list[float] = []

    @executor.execute("sleeps", timeout_s=2 * HOUR_S)
    async def sleep(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        before_s = task.remaining_s()
        await asyncio.sleep(inputs["for_s"])
        return {"answer": str(round(before_s - task.remaining_s()))}

    @executor.execute("retries", retries=5, backoff_s=10, timeout_s=2 * HOUR_S)
    async def retry(inputs: dict[str, Any]) -> dict[str, Any]:
        calls.append(0)
        if len(calls) < 3:
            raise TryLater("busy", after_s=60)
        if len(calls) < 5:
            raise ConnectionError
        return {"answer": str(len(calls))}

    @executor.execute("works", timeout_s=HOUR_S)
    def work(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": str(Event().wait(0.05))}

    return executor


def test_an_hour_passes_at_once(executor: Executor, time: FakeTime) -> None:
    """For the handler, its deadline and its own sight of the time left."""
    with at_once(), in_process(executor, time=time) as rt:
        assert rt.execute({"for_s": HOUR_S}, task_type="sleeps").output == {"answer": str(HOUR_S)}
        assert time.skipped_s == pytest.approx(HOUR_S, abs=5)
        with pytest.raises(TaskTimeoutError, match="did not finish within 7200 s"):
            rt.execute({"for_s": 3 * HOUR_S}, task_type="sleeps")
        assert time.skipped_s == pytest.approx(3 * HOUR_S, abs=5)


def test_pauses_between_retries_pass_at_once(executor: Executor, time: FakeTime) -> None:
    """What the handler asked for, and the growing pauses of the decorator."""
    with at_once(), in_process(executor, time=time) as rt:
        assert rt.execute({}, task_type="retries").output == {"answer": "5"}

    # Twice 60, then 20 to 40, then 40 to 60, of which chance takes up to half.
    assert 140 < time.skipped_s < 240


def test_a_shield_has_its_time_at_once(executor: Executor, time: FakeTime) -> None:
    """A deadline inside waits for the end of the block's own time, on the same clock."""

    @executor.execute("shielded", timeout_s=60)
    async def hold(task: Task) -> dict[str, Any]:
        async with task.shield(seconds=HOUR_S):
            await asyncio.sleep(2 * HOUR_S)
        return {"answer": "x"}

    with at_once(), in_process(executor, time=time) as rt, pytest.raises(TaskTimeoutError):
        rt.execute({}, task_type="shielded")

    assert 0.9 * HOUR_S < time.skipped_s < 1.1 * HOUR_S


def test_a_thread_is_waited_for_really(executor: Executor, time: FakeTime) -> None:
    """A plain `def` cannot see a clock that nobody else has, so its deadline is real too."""
    with in_process(executor, time=time) as rt:
        assert rt.execute({}, task_type="works").output == {"answer": "False"}

    assert time.skipped_s < HOUR_S / 60


@pytest.mark.parametrize("in_thread", [asyncio.to_thread, anyio.to_thread.run_sync])
def test_threads_of_a_coroutine_are_waited_for_really(in_thread: Any, time: FakeTime) -> None:
    """Those of asyncio and those of anyio, also while a timeout of an hour is set."""

    async def work() -> str:
        async with asyncio.timeout(HOUR_S):
            await in_thread(Event().wait, 0.05)
        await asyncio.sleep(HOUR_S)
        return "done"

    with at_once():
        assert time.run(work()) == "done"
    assert time.skipped_s == pytest.approx(HOUR_S, abs=5)


def test_a_peer_behind_a_socket_is_waited_for_really(time: FakeTime) -> None:
    """Bytes come when they come, whatever timeouts are set beside."""

    async def read(there: socket.socket) -> bytes:
        reader, writer = await asyncio.open_connection(sock=there)
        try:
            async with asyncio.timeout(HOUR_S):
                return await reader.readexactly(2)
        finally:
            writer.close()
            await writer.wait_closed()

    here, there = socket.socketpair()

    def send() -> None:
        Event().wait(0.05)
        here.sendall(b"ok")

    sender = Thread(target=send)
    sender.start()
    with here:
        assert time.run(read(there)) == b"ok"
    sender.join()
    assert time.skipped_s == 0


def test_no_time_passes_between_calls(time: FakeTime) -> None:
    """A heartbeat beats while a call waits, and else about never: nothing depends on how fast a test is written."""
    beats: list[int] = []

    async def heart() -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(60)
                beats.append(1)

        beating = asyncio.get_running_loop().create_task(beat())
        await asyncio.sleep(570)
        yield
        beating.cancel()

    executor = Executor("acme", "m-1", lifespan=heart)

    @executor.execute("sleeps", timeout_s=2 * HOUR_S)
    async def sleep(inputs: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(HOUR_S)
        return {"answer": ""}

    with at_once(), in_process(executor, time=time) as rt:
        assert len(beats) == 9
        beats.clear()
        Event().wait(0.05)
        assert beats == []
        rt.execute({})
        assert 58 <= len(beats) <= 61


def test_a_task_of_ones_own_has_the_same_time(time: FakeTime) -> None:
    """A handler that is called like any function."""
    task = a_task(time=time, timeout_s=HOUR_S)

    async def handler() -> float:
        await anyio.sleep(HOUR_S / 2)
        return task.remaining_s()

    with at_once():
        assert time.run(handler()) == pytest.approx(HOUR_S / 2, abs=5)


def test_a_ledger_in_a_file_has_real_time_only(executor: Executor, time: FakeTime) -> None:
    """Its thread belongs to no loop, so no clock would wait for it."""
    with pytest.raises(DefinitionError, match="in memory only"), in_process(executor, time=time, ledger="x.sqlite"):
        pass
