"""Parameters that are made for each call, and cleaned up after it."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel

from executor_sdk import Depends, Executor, Task

executor = Executor(provider_family="acme", model_id="sums-1")


class Ask(BaseModel):
    data_url: str


class Sum(BaseModel):
    answer: str


Rows = list[dict[str, str]]


async def rows_of(task: Task) -> AsyncIterator[Rows]:
    text = (await task.fetch(task.inputs["data_url"])).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    yield rows  # the handler works
    rows.clear()  # also after an error


@executor.execute("swarm")
async def add_up(ask: Ask, rows: Annotated[Rows, Depends(rows_of)]) -> Sum:
    return Sum(answer=str(sum(float(row["amount"]) for row in rows)))
