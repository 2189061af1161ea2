"""Whose lease holds is asked of the operating system: no clock, no silence and no stop takes a step from its worker."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from executor_sdk.testing.server import serve
from kernel_stub.rules.records import RunStatus, StepStatus
from tests.kernel_stub.scripted import Scripted
from tests.kernel_stub.workshop import Workshop, epoch_ms, workshop

pytestmark = pytest.mark.anyio

HOUR_MS: Final = 3_600_000

SPEC: Final[dict[str, Any]] = {
    "run_id": "r",
    "agents": [{"agent_id": "a", "executor": "scripted", "prompt": "p"}],
    "retry": {"max_attempts": 1},
    "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
}


class Slow(Scripted):
    """Answers the first call when it is told to, the later ones at once; served in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = threading.Event(), threading.Event()

    async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """As ever, but for the wait."""
        if path == "/execute" and not self.asked.is_set():
            self.calls.append((path, body))
            self.asked.set()
            while not self.go_on.is_set():
                await anyio.sleep(0.01)
        return await super().answer(path, body)


@contextmanager
def other_process(state_dir: Path, url: str, executor: Slow) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in another process, which holds the step."""
    program = [sys.executable, "-m", "tests.kernel_stub.runs.held_worker", str(state_dir), url]
    process = subprocess.Popen(program)
    try:
        assert executor.asked.wait(20)
        yield process
    finally:
        executor.go_on.set()
        process.kill()
        process.wait()


def stop(process: subprocess.Popen[bytes], store: Path) -> None:
    """Stop the process, and not in the middle of a transaction: that would stop everybody who writes."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with closing(sqlite3.connect(store, timeout=0, isolation_level=None)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
            else:
                return


def shifted(hours: int) -> Callable[[], int]:
    """A clock that somebody set."""
    return lambda: epoch_ms() + hours * HOUR_MS


async def work_once(shop: Workshop, *, hours: int) -> None:
    """What another worker finds to do, by a clock that is off."""
    with anyio.fail_after(10):
        await shop.worker(clock=shifted(hours)).run(once=True)


@pytest.mark.parametrize("hours", [0, -1, 1])
async def test_the_step_of_a_killed_worker_is_resumed_at_once(tmp_path: Path, hours: int) -> None:
    """Also by a clock that was set back meanwhile; the same bytes are sent."""
    executor = Slow()
    with serve(executor) as served:
        async with workshop(tmp_path, base_url=served.url) as shop:
            await shop.commands.submit(SPEC, kickoff=True)
            with other_process(tmp_path, served.url, executor) as process:
                process.send_signal(signal.SIGKILL)
                process.wait()
                await work_once(shop, hours=hours)
            run = await shop.store.runs.find("r")
            [step] = await shop.store.runs.steps("r")

    assert run is not None
    assert (run.status, step.attempt, step.recoveries) == (RunStatus.FINALIZED, 1, 1)
    assert len({body for path, body in executor.calls if path == "/execute"}) == 1


@pytest.mark.parametrize("hours", [0, -1, 1])
async def test_a_worker_that_is_stopped_for_a_while_keeps_its_step(tmp_path: Path, hours: int) -> None:
    """It is silent, and another one's clock may be hours ahead: its process is there, so the step is its own."""
    executor = Slow()
    with serve(executor) as served:
        async with workshop(tmp_path, base_url=served.url) as shop:
            await shop.commands.submit(SPEC, kickoff=True)
            with other_process(tmp_path, served.url, executor) as process:
                stop(process, shop.settings.store_path)
                await work_once(shop, hours=hours)
                [held] = await shop.store.runs.steps("r")

                process.send_signal(signal.SIGCONT)
                executor.go_on.set()
                with anyio.fail_after(10):
                    run = await shop.ended("r")
                [step] = await shop.store.runs.steps("r")

    assert (held.status, held.lease_owner) == (StepStatus.LEASED, "other")
    assert (run.status, step.attempt, step.recoveries) == (RunStatus.FINALIZED, 1, 0)
    assert [path for path, _ in executor.calls].count("/verify") == 1
