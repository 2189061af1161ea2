"""An executor that asks another one, and keeps its own doubts about the answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app import Ask, Finding

from executor_sdk import Executor, ExecutorClient, Task


@asynccontextmanager
async def drivers() -> AsyncIterator[ExecutorClient]:
    async with ExecutorClient("http://127.0.0.1:8787") as client:
        yield client


executor = Executor(provider_family="acme", model_id="reviews-1", lifespan=drivers)


@executor.execute("review")
async def review(ask: Ask, task: Task, drivers: ExecutorClient) -> Finding:
    done = await drivers.ask({"data_url": ask.data_url}, task_type="swarm", as_=Finding, within=task)
    return done.output.model_copy(update={"confidence": 0.5})
