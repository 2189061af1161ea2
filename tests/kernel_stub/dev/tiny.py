"""Tiny executors, each with one thing about it that a trial has to explain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from executor_sdk import Candidate, Executor, Refuse, Task, TryLater, Verdict

Handler: TypeAlias = Callable[[Task], Any]


def executor(handler: Handler, **options: Any) -> Executor:
    """An executor that does what `handler` does with a task."""
    made = Executor("tests", "tiny-1")

    @made.execute("swarm", **options)
    async def done(task: Task) -> dict[str, Any]:
        output: dict[str, Any] = handler(task)
        return output

    return made


def number(task: Task) -> int:
    """1 for `agent-1`."""
    return int((task.agent_id or "").rpartition("-")[2])


def says(*outputs: dict[str, Any]) -> Executor:
    """One output for each agent in turn."""
    return executor(lambda task: outputs[(number(task) - 1) % len(outputs)])


def decides(*decisions: object) -> Executor:
    """One decision for each agent in turn, and an answer that is everybody's."""
    return says(*({"answer": "42", "decision": decision} for decision in decisions))


def answers(*texts: str) -> Executor:
    """One answer for each agent in turn, and a decision that is everybody's."""
    return says(*({"answer": text, "decision": "GROWTH"} for text in texts))


AGREED: Final = {"answer": "42", "decision": "GROWTH"}


def raises(error: BaseException) -> Executor:
    """Every agent raises it."""

    def handler(task: Task) -> dict[str, Any]:
        raise error

    return executor(handler)


def refusing() -> Executor:
    """The first agent is refused."""

    def handler(task: Task) -> dict[str, Any]:
        if number(task) == 1:
            raise Refuse("NO_ROWS", "the file has no rows")
        return AGREED

    return executor(handler)


def trying_later() -> Executor:
    """Every first attempt is told to come again."""

    def handler(task: Task) -> dict[str, Any]:
        if task.attempt == 1:
            raise TryLater("the model is loading", after_s=1)
        return AGREED

    return executor(handler)


def showing_pages() -> Executor:
    """Evidence of a type that no contract allows."""

    def handler(task: Task) -> dict[str, Any]:
        task.evidence("<p>growth</p>", "text/html")
        return AGREED

    return executor(handler)


def slow() -> Executor:
    """Never done in time."""
    made = Executor("tests", "tiny-1")

    @made.execute("swarm", timeout_s=0.05)
    async def done(task: Task) -> dict[str, Any]:
        await asyncio.Event().wait()
        return AGREED

    return made


def typed() -> Executor:
    """Inputs that have to fit."""
    made = Executor("tests", "tiny-1")

    class Ask(BaseModel):
        amount: int

    @made.execute("swarm")
    async def done(ask: Ask) -> dict[str, Any]:
        return AGREED

    return made


def fetching() -> Executor:
    """Reads a file that it may not read."""
    made = Executor("tests", "tiny-1")

    @made.execute("swarm")
    async def done(task: Task) -> dict[str, Any]:
        await task.fetch("file:///etc/hostname")
        return AGREED

    return made


def strict() -> Executor:
    """A verifier that passes nothing."""
    made = decides("GROWTH")

    @made.verify
    async def judged(candidate: Candidate[Any]) -> Verdict:
        return Verdict.failed(1001, "the figures differ")

    return made


def clumsy() -> Executor:
    """A verifier that crashes."""
    made = decides("GROWTH")

    @made.verify
    async def judged(candidate: Candidate[Any]) -> Verdict:
        raise ZeroDivisionError

    return made


def unwell() -> Executor:
    """A health check that says no."""
    made = decides("GROWTH")

    @made.health
    async def well() -> bool:
        return False

    return made


def looking_closer() -> Executor:
    """Nobody agrees; asked again, the first agent alone brings something new."""

    def handler(task: Task) -> dict[str, Any]:
        if task.signal and number(task) == 1:
            task.artifact(b"a closer look", "text/plain")
        return {"answer": "42", "decision": f"{'ABCDE'[number(task)]} in round {task.round}"}

    return executor(handler)
