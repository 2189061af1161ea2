"""A silent executor holds up nobody but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from kernel_stub.rules.records import RunStatus
from tests.kernel_stub.scripted import Crowded, Scripted
from tests.kernel_stub.workshop import workshop

pytestmark = pytest.mark.anyio


class Silent(Scripted):
    """Takes calls of one path and never answers."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.at_once = self.most = 0

    async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """As ever, but for that path."""
        if path != self.path:
            return await super().answer(path, body)
        self.called.set()
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await anyio.sleep_forever()
        finally:
            self.at_once -= 1
        return 200, {}


@pytest.mark.parametrize("path", ["/health", "/execute"])
async def test_a_silent_executor_does_not_hold_up_the_runs_of_others(tmp_path: Path, path: str) -> None:
    """Its steps came first, and each of its calls takes a minute to fail."""
    silent = Silent(path)
    apps = {"silent": silent, "scripted": Scripted()}
    async with workshop(tmp_path, apps=apps, concurrency=4, call_timeout_s=60, drain_s=0.05) as shop:
        await shop.commands.submit(_spec("silent", 20, executor="silent"), kickoff=True)
        worker = shop.worker()
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            with anyio.fail_after(10):
                await silent.called.wait()
                await shop.commands.submit(_spec("r", 20), kickoff=True)
                run = await shop.ended("r")
            worker.stop()

    assert run.status is RunStatus.FINALIZED
    assert silent.most == (1 if path == "/health" else 3)


async def test_silent_executors_wait_beside_the_places_of_the_others(tmp_path: Path) -> None:
    """More of them than a worker has places, and still there is a place."""
    silent = {f"silent-{n}": Silent("/health") for n in range(6)}
    async with workshop(
        tmp_path, apps={**silent, "scripted": Scripted()}, concurrency=2, call_timeout_s=60, drain_s=0.05
    ) as shop:
        for name in silent:
            await shop.commands.submit(_spec(name, 2, executor=name), kickoff=True)
        await shop.commands.submit(_spec("r", 6), kickoff=True)
        worker = shop.worker()
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            with anyio.fail_after(10):
                await shop.ended("r")
            worker.stop()

    assert [app.most for app in silent.values()] == [1] * 6


async def test_an_executor_that_falls_silent_is_given_one_step_at_a_time_until_it_answers(tmp_path: Path) -> None:
    """What it answered before does not count; one answer opens all its places again."""

    class Tired(Crowded):
        """Leaves its first calls unanswered."""

        left = 3

        async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
            """As ever, after those."""
            if path == "/execute" and self.left:
                self.left -= 1
                await anyio.sleep_forever()
            return await super().answer(path, body)

    executor = Tired(seconds=0.02)
    settings: dict[str, Any] = {"concurrency": 4, "silent_after": 3, "call_timeout_s": 0.2, "resends": 0}
    async with workshop(tmp_path, apps={"scripted": executor}, **settings) as shop:
        await shop.commands.submit(_spec("r", 12, prompt='{"delay": 1}'), kickoff=True)
        worker = shop.worker()
        opened: list[frozenset[str]] = []

        async def watch() -> None:
            while True:
                await worker._attempts.answering.changed.wait()
                opened.append(worker._attempts.answering.names)

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            with anyio.fail_after(10):
                await worker.run(once=True)
            group.cancel_scope.cancel()
        counts = await shop.store.runs.counts("r")

    assert (counts["succeeded"], counts["failed"]) == (9, 3)
    assert opened == [{"scripted"}, {"scripted"}]
    assert executor.most == 3


def _spec(run_id: str, agents: int, *, executor: str = "scripted", prompt: str = "p") -> dict[str, Any]:
    return {
        "run_id": run_id,
        "agents": [{"agent_id": f"a{n}", "executor": executor, "prompt": prompt} for n in range(agents)],
        "retry": {"max_attempts": 1},
        "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
    }
