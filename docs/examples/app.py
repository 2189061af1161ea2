"""The first executor: page one of the README."""

from typing import Literal

from pydantic import BaseModel, Field

from executor_sdk import Executor, Task

executor = Executor(provider_family="acme", model_id="drivers-1")


class Ask(BaseModel):
    data_url: str = Field(examples=["data:text/csv,region,amount%0Anorth,5"])  # what callers without inputs send


class Finding(BaseModel):
    decision: Literal["GROWTH", "DECLINE"]  # votes are equal strings: close the vocabulary
    answer: str  # every run's contract demands it
    confidence: float = Field(ge=0, le=1)


@executor.execute("swarm", timeout_s=100)
async def drivers(ask: Ask, task: Task) -> Finding:
    rows = (await task.fetch(ask.data_url)).splitlines()[1:]
    total = sum(float(row.split(b",")[1]) for row in rows)
    task.evidence(f"{len(rows)} rows, total {total}")
    return Finding(decision="GROWTH" if total > 0 else "DECLINE", answer=str(total), confidence=0.9)
