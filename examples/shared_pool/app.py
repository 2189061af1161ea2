"""Shares one pool of processes among all tasks, for Python code that would hold up the event loop and every thread.

Run `executor serve examples.shared_pool.app:executor`.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Literal

from pydantic import BaseModel, Field, PositiveFloat

from executor_sdk import Executor, Task

BATCHES = 8
DRAWS_PER_BATCH = 5_000


async def pool() -> AsyncIterator[ProcessPoolExecutor]:
    """As many processes as the machine has cores; spawned, because a fork would copy the locks of other threads."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        yield processes


executor = Executor(provider_family="acme", model_id="schedules-1", lifespan=pool)


class Plan(BaseModel):
    steps: list[tuple[PositiveFloat, PositiveFloat]] = Field(min_length=1, max_length=100)  # days, from and to
    due_day: PositiveFloat


class Forecast(BaseModel):
    decision: Literal["ON_TIME", "LATE"]
    answer: str
    confidence: float = Field(ge=0, le=1)


@executor.execute("swarm", timeout_s=120)
async def forecast(plan: Plan, task: Task, pool: ProcessPoolExecutor) -> Forecast:
    batches = [pool.submit(count_late, plan, f"{task.step_key} {n}") for n in range(BATCHES)]
    # Where nobody wants the work any more, the batches that wait in the pool are taken out.
    late = sum(await asyncio.gather(*map(asyncio.wrap_future, batches))) / (BATCHES * DRAWS_PER_BATCH)
    decision = "LATE" if late > 0.5 else "ON_TIME"
    return Forecast(decision=decision, answer=f"late in {late:.0%} of the draws", confidence=max(late, 1 - late))


def count_late(plan: Plan, seed: str) -> int:
    draw = random.Random(seed)
    return sum(sum(draw.uniform(*step) for step in plan.steps) > plan.due_day for _ in range(DRAWS_PER_BATCH))


@executor.health
def pool_works(pool: ProcessPoolExecutor) -> None:
    pool.submit(os.getpid).cancel()  # raises once a process of the pool was killed: only a restart mends the pool
