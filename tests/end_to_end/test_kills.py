"""Workers and the executor killed with SIGKILL at random while a run of sixty steps goes on."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
import pytest

from kernel_stub.kernel import Kernel, open_kernel
from kernel_stub.rules.records import ExecutorEntry, RunStatus
from kernel_stub.settings import KernelSettings

pytestmark = pytest.mark.anyio

STEPS: Final = 60
RUN_ID: Final = "sixty"
#: The same kills each time, as far as a machine can.
SEED: Final = 20


@dataclass
class Scene:
    """A kernel's state directory, an executor process, and worker processes beside it."""

    folder: Path
    port: int
    kernel: Kernel
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start `executor`, or a worker of this name."""
        environment = {**os.environ, "KILLABLE_FOLDER": str(self.folder)}
        command = self._executor() if name == "executor" else self._worker()
        self.processes[name] = subprocess.Popen([sys.executable, *command], env=environment)

    def kill(self, name: str) -> None:
        """End it without any chance to tidy up."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def lines(self) -> list[str]:
        """What the executor did, one line each: the step's key and the process that did it."""
        effects = self.folder / "effects"
        return effects.read_text(encoding="utf-8").splitlines() if effects.exists() else []

    async def until(self, ended: int) -> None:
        """Wait until so many steps have succeeded."""
        # Other processes cannot set an event of this one.
        while (await self.kernel.store.runs.counts(RUN_ID))["succeeded"] < ended:
            await anyio.sleep(0.01)

    def _executor(self) -> list[str]:
        app = "tests.end_to_end.killable_executor:executor"
        return ["-m", "uvicorn", app, "--port", str(self.port), "--log-level", "critical"]

    def _worker(self) -> list[str]:
        options = ["--lease-ms", "1000", "--poll-ms", "25", "--concurrency", "4", "--call-timeout", "10"]
        return ["-m", "kernel_stub.cli", "--state-dir", str(self.folder / "state"), "run", "worker", *options]


@asynccontextmanager
async def scene(folder: Path, *, backoff_ms: int) -> AsyncIterator[Scene]:
    """A run of sixty steps under way: two workers, one executor."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with open_kernel(KernelSettings(folder / "state")) as kernel:
        await kernel.registry.add(ExecutorEntry("killable", f"http://127.0.0.1:{port}"))
        on = Scene(folder, port, kernel)
        try:
            on.start("executor")
            await _healthy(port)
            await kernel.runs.submit(_spec(backoff_ms), kickoff=True)
            on.start("worker-1")
            on.start("worker-2")
            yield on
        finally:
            for name in list(on.processes):
                on.kill(name)


async def test_a_run_survives_twenty_random_kills_and_does_nothing_twice(tmp_path: Path) -> None:
    """It finalizes once; no process of the executor ever did a step twice; every event of every task holds."""
    dice = random.Random(SEED)
    with anyio.fail_after(240):
        async with scene(tmp_path, backoff_ms=1) as on:
            for kill in range(20):
                await on.until(kill * STEPS // 24)
                await anyio.sleep(dice.random() * 0.2)
                victim = dice.choice(["worker-1", "worker-2", "executor"])
                on.kill(victim)
                on.start(victim)
            await on.until(STEPS)

            await _check(on)
            # What an executor's own death may repeat, the step's key lets it recognise; nothing else repeats.
            assert max(Counter(on.lines()).values()) == 1
            assert len({line.split()[0] for line in on.lines()}) == STEPS


async def test_killed_workers_cost_no_attempt_and_no_second_effect(tmp_path: Path) -> None:
    """Only workers die: each step is done once, at its first attempt, however often it was resumed."""
    dice = random.Random(SEED)
    with anyio.fail_after(180):
        async with scene(tmp_path, backoff_ms=1) as on:
            for kill in range(8):
                await on.until(kill * STEPS // 10)
                await anyio.sleep(dice.random() * 0.2)
                victim = dice.choice(["worker-1", "worker-2"])
                on.kill(victim)
                on.start(victim)
            await on.until(STEPS)

            await _check(on)
            steps = await on.kernel.store.runs.steps(RUN_ID)
            events = await on.kernel.store.runs.events(RUN_ID, limit=10_000)
            assert {step.attempt for step in steps} == {1}
            assert len(on.lines()) == STEPS
            assert any(event.event_type == "STEP_LEASE_EXPIRED" for event in events)


async def _check(on: Scene) -> None:
    """What holds after any kills."""
    run = await on.kernel.store.runs.find(RUN_ID)
    types = Counter(event.event_type for event in await on.kernel.store.runs.events(RUN_ID, limit=10_000))
    replay = await on.kernel.audit.replay()

    assert run is not None
    assert run.status is RunStatus.FINALIZED
    assert run.result["aggregation"]["decision_votes"] == {"GO": STEPS}
    assert (types["RUN_FINALIZED"], types["STEP_COMPLETED"]) == (1, STEPS)
    assert "STEP_DEAD_LETTERED" not in types
    assert replay.finalized() == replay.events["DECISION_FINALIZED"] == STEPS


async def _healthy(port: int) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        while True:
            try:
                await http.get(f"http://127.0.0.1:{port}/health")
            except httpx2.TransportError:
                await anyio.sleep(0.05)
            else:
                return


def _spec(backoff_ms: int) -> dict[str, Any]:
    return {
        "run_id": RUN_ID,
        "agents": [{"agent_id": f"a{n}", "executor": "killable", "prompt": "p"} for n in range(STEPS)],
        "retry": {"max_attempts": 50, "backoff_ms": backoff_ms},
        "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
    }
