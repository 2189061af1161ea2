"""What a type checker must see of dependencies, generators and options: mistakes are found where they are written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, assert_type

from pydantic import BaseModel

from executor_sdk import (
    AgentEvent,
    Candidate,
    Decision,
    Depends,
    Executor,
    Partial,
    Progress,
    Settings,
    Task,
    Verdict,
    agent_event,
    execute,
    in_process,
    verify,
)
from executor_sdk.testing import a_task


class Ask(BaseModel):
    """Inputs."""

    url: str


class Finding(BaseModel):
    """An output."""

    answer: str


class Sales:
    """Something that is made for a call."""


executor = Executor("acme", "m-1", timeout_s=3, max_concurrency=2)


def open_sales(task: Task) -> Iterator[Sales]:
    """A dependency that cleans up."""
    yield Sales()


@executor.execute("counted")
def counted(ask: Ask, sales: Annotated[Sales, Depends(open_sales)]) -> Finding:
    """What is injected is an argument like any other for who calls the function."""
    assert_type(sales, Sales)
    return Finding(answer=ask.url)


@executor.execute("streamed", profiles=("fast",), timeout_s=1.5)
async def streamed(ask: Ask, task: Task) -> AsyncIterator[Progress | Partial | Finding]:
    """A generator that tells its progress, and its result last."""
    yield Progress(0.5, "half")
    yield Partial({"answer": ask.url[:3]})
    yield Finding(answer=ask.url)


@executor.execute("walked")
def walked(ask: Ask) -> Iterator[Progress | Finding]:
    """The same without async."""
    yield Progress(1.0)
    yield Finding(answer=ask.url)


@executor.execute("wrong")
async def wrong(ask: Ask) -> AsyncIterator[Progress | Finding]:
    """A generator is held to what it says that it yields."""
    yield 3  # type: ignore[misc]
    yield Progress("half")  # type: ignore[arg-type]


@asynccontextmanager
async def sales() -> AsyncIterator[Sales]:
    """A lifespan as a context manager."""
    yield Sales()


async def silent(executor: Executor) -> AsyncIterator[None]:
    """A lifespan as a generator, of the executor."""
    yield


stateful = Executor("acme", "m-2", lifespan=(sales, silent))
Executor("acme", "m-2", lifespan=sales)
Executor("acme", "m-2", lifespan=3)  # type: ignore[arg-type]


@stateful.include
class Analyst:
    """A class of the process."""

    @execute("found", timeout_s=3)
    async def find(self, ask: Ask, sales: Sales) -> Finding:
        """A method stays the method that it was."""
        return Finding(answer=ask.url)

    @verify
    def check(self, candidate: Candidate[Finding]) -> Verdict:
        """Without parentheses, too."""
        assert_type(candidate.output, Finding)
        return Verdict.passed()


async def methods(analyst: Analyst, candidate: Candidate[Finding]) -> None:
    """What a type checker sees of an included class and its methods."""
    assert_type(await analyst.find(Ask(url="u"), Sales()), Finding)
    assert_type(analyst.check(candidate), Verdict)
    await analyst.find(Ask(url="u"))  # type: ignore[call-arg]


stateful.include(3)  # type: ignore[type-var]
execute("late", timeout_s="soon")  # type: ignore[call-overload]

ask = Ask(url="u")
assert_type(counted(ask, Sales()), Finding)
assert_type(streamed(ask, a_task()), AsyncIterator[Progress | Partial | Finding])
assert_type(walked(ask), Iterator[Progress | Finding])
assert_type(Settings(timeout_s=1).changed(drain_s=2), Settings)
assert_type(executor.settings, Settings)

with in_process(executor, overrides={open_sales: Sales}, timeout_s=0.1) as rt:
    assert_type(rt.verify(rt.execute({"url": "u"}, task_type="counted")).score, float)

counted(ask)  # type: ignore[call-arg]
counted(ask, 3)  # type: ignore[arg-type]
Depends(3)  # type: ignore[arg-type]
Settings(timeout_s="soon")  # type: ignore[arg-type]
Settings(no_such_option=1)  # type: ignore[call-arg]
executor.execute("late", timeout_s="soon")  # type: ignore[call-overload]
executor.execute("late", timeout=5)  # type: ignore[call-overload]
Executor("acme", "m-1", timeout_s="60")  # type: ignore[arg-type]
Executor("acme", "m-1", timeout=60)  # type: ignore[call-arg]
Executor("acme", "m-1", ledger="x.db", allow_hosts="a.test", file_roots=["/data"])
Settings().changed(threads=1.5)  # type: ignore[arg-type]
in_process(executor, ledger=3)  # type: ignore[arg-type]


@executor.verify("counted", "streamed")
async def of_two(candidate: Candidate[Finding]) -> Verdict:
    """A verifier of two task types."""
    assert_type(candidate.task_type, str | None)
    return Verdict.passed()


@executor.agent_event("dm_received", timeout_s=3)
async def hears(event: AgentEvent[Ask]) -> Decision | None:
    """A function for one type of events."""
    assert_type(event.payload, Ask)
    return Decision.direct("reply", {"content": event.payload.url})


class Hearing:
    """A class whose methods hear and verify."""

    @agent_event
    def others(self, event: AgentEvent[Ask]) -> None:
        """All other events."""

    @verify("counted")
    def checks(self, candidate: Candidate[Finding]) -> Verdict:
        """One task type."""
        return Verdict.passed()


assert_type(executor.include(Hearing), type[Hearing])
executor.verify(task_type="swarm")  # type: ignore[call-overload]
executor.agent_event("dm_received", timeout=3)  # type: ignore[call-overload]
