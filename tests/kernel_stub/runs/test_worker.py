"""The worker: how many steps it has in flight, when it ends, and what it does while the store fails."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from kernel_stub.rules.records import ExecutorEntry, RunStatus
from tests.kernel_stub.scripted import Crowded, Scripted
from tests.kernel_stub.store.store_contract import submitted
from tests.kernel_stub.workshop import Workshop, workshop

pytestmark = pytest.mark.anyio


async def test_with_once_a_worker_ends_when_nothing_is_due(tmp_path: Path) -> None:
    """It takes the second round with it, as that is due at once."""
    async with workshop(tmp_path, apps={"scripted": Scripted()}) as shop:
        rounds: dict[str, Any] = {
            "aggregation": {"quorum": 2, "null_policy": {"chain": ["REEXPLORE", "FINALIZE_NULL"]}}
        }
        await shop.commands.submit(_spec(1, **rounds), kickoff=True)
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        run = await shop.store.runs.find("r")
        [step] = await shop.store.runs.steps("r")

    assert run is not None
    assert (run.status, step.attempt) == (RunStatus.FINALIZED, 2)


async def test_no_more_steps_are_in_flight_than_asked_for(tmp_path: Path) -> None:
    """And as many as that: a slot that becomes free is filled, not a batch."""
    executor = Crowded(seconds=0.02)
    async with workshop(tmp_path, apps={"scripted": executor}, concurrency=3, steps_per_executor=3) as shop:
        await shop.commands.submit(_spec(10, prompt='{"delay": 1}'), kickoff=True)
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        run = await shop.store.runs.find("r")

    assert run is not None
    assert run.status is RunStatus.FINALIZED
    assert executor.most == 3


async def test_an_idle_worker_ends_at_once_when_told_to(tmp_path: Path) -> None:
    """It does not wait for its next poll."""
    async with workshop(tmp_path, apps={"scripted": Scripted()}, poll_ms=60_000) as shop:
        worker = shop.worker()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(worker.run)
                await anyio.lowlevel.checkpoint()
                worker.stop()


async def test_a_store_that_fails_for_a_while_costs_no_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Settling it and handing it back fail and are logged; then the same attempt goes on with the same bytes."""
    executor = Scripted(seconds=0.1)
    async with workshop(tmp_path, apps={"scripted": executor}, lease_ms=200) as shop:
        await shop.commands.submit(_spec(1, prompt='{"delay": 1}'), kickoff=True)
        worker = shop.worker()
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(worker.run)
                await executor.called.wait()
                await _writable(shop, allowed=False)
                for sentence in ("store failed in an attempt", "could not hand back its steps"):
                    while sentence not in caplog.text:
                        await anyio.sleep(0.01)
                await _writable(shop, allowed=True)
                run = await shop.ended("r")
                worker.stop()
        [step] = await shop.store.runs.steps("r")
        await shop.audit.replay()

    assert (run.status, step.attempt) == (RunStatus.FINALIZED, 1)
    assert len({body for path, body in executor.calls if path == "/execute"}) == 1


async def test_a_remote_executor_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """There is no network yet, and another attempt would not bring one."""
    async with workshop(tmp_path, apps={"scripted": Scripted()}) as shop:
        await shop.store.executors.put(ExecutorEntry("scripted", "http://far", remote=True, target_node_id="n"))
        await shop.commands.submit(_spec(1), kickoff=True)
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        [step] = await shop.store.runs.steps("r")

    assert (step.status.value, step.attempt) == ("FAILED", 1)
    assert step.error == "executor 'scripted' is remote, and this kernel has no network"


async def test_a_template_that_no_kernel_would_take_is_refused_before_any_call(tmp_path: Path) -> None:
    """With the kernel's sentence, even where a submit that is not ours let it in."""
    executor = Scripted()
    async with workshop(tmp_path, apps={"scripted": executor}) as shop:
        await submitted(shop.store, _spec(1, task_template={"assignment": {"mode": "open"}}))
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        [step] = await shop.store.runs.steps("r")

    assert (step.error, executor.calls) == ("invalid event: assignment.mode must be CLAIM", [])


async def test_a_run_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    """The worker goes on with the rest; once the row is mended and its run kicked off again, so does that run."""
    async with workshop(tmp_path, apps={"scripted": Scripted()}) as shop:
        for run_id in ("bad", "good"):
            await shop.commands.submit({**_spec(1), "run_id": run_id}, kickoff=True)
        with closing(sqlite3.connect(shop.settings.store_path, isolation_level=None)) as connection:
            connection.execute("UPDATE runs SET status = 'BROKEN' WHERE run_id = 'bad'")
            with anyio.fail_after(10):
                await shop.worker().run(once=True)
            letters = await shop.commands.dead_letters()
            good = await shop.store.runs.find("good")
            connection.execute("UPDATE runs SET status = 'QUEUED' WHERE run_id = 'bad'")
        await shop.commands.kickoff("bad")
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        mended = await shop.store.runs.find("bad")

    assert good is not None
    assert mended is not None
    assert (good.status, mended.status) == (RunStatus.FINALIZED, RunStatus.FINALIZED)
    reason = "the store holds a row that cannot be read: 'BROKEN' is not a valid RunStatus"
    assert letters == [
        {"run_id": "bad", "step_id": "bad:a0", "executor": "scripted", "attempt": 0, "reason": reason},
    ]


async def test_a_finished_call_is_not_lost_to_a_probe_behind_it(tmp_path: Path) -> None:
    """Who executes was known before; an executor that goes away right after its answer costs no attempt."""

    class Leaving(Scripted):
        """Answers no probe any more once it has executed."""

        async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
            """As ever, until then."""
            gone = self.calls and path in {"/health", "/capabilities"}
            return (503, {}) if gone else await super().answer(path, body)

    async with workshop(tmp_path, apps={"scripted": Leaving()}, probe_ttl_ms=0) as shop:
        await shop.commands.submit(_spec(1), kickoff=True)
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        [step] = await shop.store.runs.steps("r")

    assert (step.status, step.error, step.attempt) == ("SUCCEEDED", None, 1)
    assert (step.result["provider_family"], step.result["model_id"]) == ("scripted", "scripted-1")


@pytest.mark.parametrize("name", ["provider_family", "model_id"])
async def test_an_executor_without_a_name_of_its_own_is_given_no_work(tmp_path: Path, name: str) -> None:
    """What it proposed could be held against nobody."""

    class Nameless(Scripted):
        """Leaves one of the two blank."""

        async def answer(self, path: str, body: bytes) -> tuple[int, Any]:
            """As ever, but for that."""
            status, answer = await super().answer(path, body)
            return status, {**answer, name: " "} if path == "/capabilities" else answer

    executor = Nameless()
    async with workshop(tmp_path, apps={"scripted": executor}) as shop:
        await shop.commands.submit(_spec(1), kickoff=True)
        with anyio.fail_after(10):
            await shop.worker().run(once=True)
        [step] = await shop.store.runs.steps("r")

    assert (step.error, executor.calls) == (f"runtime /capabilities decode: {name} must not be blank", [])


async def test_whatever_breaks_in_an_attempt_ends_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is logged with its traceback and told in the step; it does not stop the worker."""

    def broken(name: str) -> None:
        if name == "execute:before":
            raise RuntimeError("a fault of ours")

    async with workshop(tmp_path, apps={"scripted": Scripted()}) as shop:
        await shop.commands.submit(_spec(2), kickoff=True)
        with anyio.fail_after(10):
            await shop.worker(failpoint=broken).run(once=True)
        run, steps = await shop.store.runs.find("r"), await shop.store.runs.steps("r")

    assert run is not None
    assert run.status is RunStatus.FAILED
    assert {step.error for step in steps} == {"kernel failure: RuntimeError: a fault of ours"}
    assert "Traceback" in caplog.text


async def _writable(shop: Workshop, *, allowed: bool) -> None:
    """Whether steps can be moved and events appended; elsewhere the file takes writes as ever."""

    with closing(sqlite3.connect(shop.settings.store_path, isolation_level=None)) as connection:
        for name, write in (("no_moves", "UPDATE ON steps"), ("no_events", "INSERT ON events")):
            connection.execute(
                f"DROP TRIGGER {name}"
                if allowed
                else f"CREATE TRIGGER {name} BEFORE {write} BEGIN SELECT raise(ABORT, 'trouble'); END"
            )


def _spec(agents: int, *, prompt: str = "p", **extra: Any) -> dict[str, Any]:
    return {
        "run_id": "r",
        "agents": [{"agent_id": f"a{n}", "executor": "scripted", "prompt": prompt} for n in range(agents)],
        "retry": {"max_attempts": 1},
        "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
        **extra,
    }
