"""Executors that the command line's tests load by name."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

from pydantic import BaseModel, Field

from executor_sdk import Executor, Refuse, Task, TryLater
from tests.conformance.model import ModelExecutor
from tests.conformance.mutants import FailsAll, OwnHash


class Ask(BaseModel):
    """What is summed up."""

    amounts: list[float] = Field(examples=[[1.5, 2.0]])
    note: str | None = None


class Sum(BaseModel):
    """The total, in words."""

    answer: str
    confidence: float = 0.9


logger = logging.getLogger(__name__)

executor = Executor(provider_family="tests", model_id="sums-1")


@executor.execute("sum", timeout_s=5)
def total(ask: Ask) -> Sum:
    """Adds up amounts."""
    logger.info("adds up %d amounts", len(ask.amounts))
    if not ask.amounts:
        raise Refuse("NO_AMOUNTS", "there is nothing to add up")
    return Sum(answer=str(sum(ask.amounts)))


@executor.execute("busy", profiles=("slow",))
def busy() -> Sum:
    """Never has time."""
    raise TryLater("no time", after_s=1)


@executor.execute("stuck", timeout_s=0.05)
def stuck() -> Sum:
    """Never comes back from its thread."""
    threading.Event().wait()
    return Sum(answer="")


@executor.execute("traced")
def traced(ask: dict[str, str]) -> Sum:
    """Leaves a line in a file, with the process that did it, when a second file is there."""
    with Path(ask["file"]).open("a") as file:
        file.write(f"{os.getpid()}\n")
    while not Path(ask["gate"]).exists():
        time.sleep(0.01)
    return Sum(answer=str(os.getpid()))


counting = Executor(provider_family="tests", model_id="counts-1")


@counting.execute("count")
def counted(task: Task) -> Sum:
    """Tells what it has used."""
    task.metric("tokens", 812, "token")
    return Sum(answer="")


stranger = ModelExecutor()
failing = FailsAll()
warned = OwnHash()
not_callable = 5
