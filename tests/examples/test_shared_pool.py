"""All tasks share the processes of one pool, and the executor tells when the pool is broken."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from examples.shared_pool.app import BATCHES, Plan, count_late, executor, forecast, pool
from executor_sdk import HandlerCrashedError, InvalidInputsError, in_process
from executor_sdk.testing.tasks import a_task
from tests.examples.behind_kernel import decided

#: Two steps of 1 to 3 days each: 4 days on average; in one of eight draws fewer than 3, and in as many more than 5.
STEPS = [[1, 3], [1, 3]]


class OneProcess(ProcessPoolExecutor):
    """A pool that keeps what it was given."""

    def __init__(self) -> None:
        super().__init__(1, mp_context=get_context("spawn"))
        self.given: list[Future[Any]] = []

    def submit(self, *args: Any, **named: Any) -> Future[Any]:
        """Keep it, and do it."""
        self.given.append(super().submit(*args, **named))
        return self.given[-1]


@pytest.fixture
def one_process() -> Iterator[OneProcess]:
    """A pool in the place of the executor's own."""
    with OneProcess() as opened:
        yield opened


def test_the_draws_decide() -> None:
    """On either side of the mean the same share of draws is late, or not."""
    with in_process(executor) as rt:
        early, late = (rt.execute({"steps": STEPS, "due_day": day}).output for day in (3, 5))

    assert (early.decision, late.decision) == ("LATE", "ON_TIME")
    assert (early.confidence, late.confidence) == pytest.approx((7 / 8, 7 / 8), abs=0.02)


def test_every_task_uses_the_one_pool(one_process: OneProcess) -> None:
    """And all its draws are made there."""
    with in_process(executor, overrides={pool: lambda: one_process}) as rt:
        for _ in range(2):
            rt.execute({"steps": STEPS, "due_day": 4})

    assert [batch.done() for batch in one_process.given] == [True] * 2 * BATCHES


def test_what_is_no_plan_is_refused() -> None:
    """Before anything reaches the pool."""
    with in_process(executor) as rt, pytest.raises(InvalidInputsError, match=r"inputs\.steps"):
        rt.execute({"steps": [], "due_day": 3})


def test_the_same_seed_draws_the_same() -> None:
    """So an attempt at the same step gives the same answer."""
    plan = Plan.model_validate({"steps": STEPS, "due_day": 4})

    assert count_late(plan, "step 1") == count_late(plan, "step 1") != count_late(plan, "step 2")


@pytest.mark.anyio
async def test_what_nobody_wants_any_more_leaves_the_pool(one_process: OneProcess, tmp_path: Path) -> None:
    """The only process waits for somebody to write into a pipe, so all batches are still to be done."""
    os.mkfifo(tmp_path / "pipe")
    blocked = one_process.submit(os.open, tmp_path / "pipe", os.O_RDONLY)
    plan = Plan.model_validate({"steps": STEPS, "due_day": 4})
    work = asyncio.create_task(forecast(plan, a_task(), one_process))
    await asyncio.sleep(0)
    assert len(one_process.given) == 1 + BATCHES

    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    # A pool hands each process one batch beforehand; that one can no longer be taken back.
    assert all(batch.cancelled() for batch in one_process.given[-BATCHES + 2 :])
    os.close(await asyncio.to_thread(os.open, tmp_path / "pipe", os.O_WRONLY))
    assert await asyncio.wrap_future(blocked) > 0


def test_a_pool_that_lost_a_process_is_unhealthy(one_process: OneProcess) -> None:
    """A supervisor that asks for health restarts the executor then."""
    with in_process(executor, overrides={pool: lambda: one_process}) as rt:
        assert rt.call(lambda: rt.client.send("GET", "/health")).status == 200
        one_process.submit(os._exit, 1).exception()

        assert rt.call(lambda: rt.client.send("GET", "/health")).status == 503
        with pytest.raises(HandlerCrashedError):
            rt.execute({"steps": STEPS, "due_day": 4})


@pytest.mark.anyio
async def test_three_agents_decide_behind_a_kernel(tmp_path: Path) -> None:
    """Each draws for itself, all see the same."""
    aggregation = await decided(executor, {"steps": STEPS, "due_day": 3}, state_dir=tmp_path)

    assert aggregation["final_decision"] == "LATE"
    assert aggregation["decision_votes"] == {"LATE": 3}
