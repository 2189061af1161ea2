"""A handler may be a generator that yields its progress, and last of all its result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from executor_sdk import Executor, InvalidOutputError, Progress, TaskCancelled, in_process
from executor_sdk.errors import HandlerSignatureError


class Finding(BaseModel):
    """An output."""

    answer: str


closed: list[str] = []


async def walking() -> AsyncIterator[Progress | Finding]:
    """Yields in the loop."""
    try:
        yield Progress(0.25, "on the way")
        yield Progress(0.75)
        yield Finding(answer="walked")
    finally:
        closed.append("walking")


def running() -> Iterator[Progress | Finding]:
    """Yields in a thread."""
    try:
        yield Progress(0.5)
        yield Finding(answer="ran")
    finally:
        closed.append("running")


def an_executor(function: Callable[..., Any]) -> Executor:
    """An executor of one function."""
    executor = Executor("acme", "m-1")
    executor.execute(function)
    closed.clear()
    return executor


@pytest.mark.parametrize(("function", "answer"), [(walking, "walked"), (running, "ran")])
def test_the_last_thing_yielded_is_the_result(function: Callable[..., Any], answer: str) -> None:
    """Typed and published like a returned one."""
    with in_process(an_executor(function)) as rt:
        assert rt.execute({}).output == Finding(answer=answer)
        assert rt.capabilities()["handlers"][0]["output_schema"]["required"] == ["answer"]

    assert closed == [function.__name__]


@pytest.mark.parametrize("function", [walking, running])
def test_a_cancel_closes_the_generator(function: Callable[..., Any]) -> None:
    """So that its `finally` runs."""
    with in_process(an_executor(function)) as rt, pytest.raises(TaskCancelled):
        rt.execute({}, cancel_at=0.5)

    assert closed == [function.__name__]


async def forgetful() -> AsyncIterator[Progress | Finding]:
    """Forgets its result."""
    yield Progress(1)


def talkative() -> Iterator[Finding]:
    """Has two results."""
    yield Finding(answer="a")
    yield Finding(answer="b")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [(forgetful, "ended without a result; yield the output last"), (talkative, "yielded again after its result")],
)
def test_there_is_exactly_one_result(function: Callable[..., Any], sentence: str) -> None:
    """And nothing after it."""
    with in_process(an_executor(function)) as rt, pytest.raises(InvalidOutputError, match=sentence):
        rt.execute({})


async def only_progress() -> AsyncIterator[Progress]:
    """Never will have a result."""
    yield Progress(1)


def misnamed() -> Finding:  # type: ignore[misc]
    """Says that it returns."""
    yield Finding(answer="a")


@pytest.mark.parametrize(
    ("function", "sentence"), [(only_progress, "yields progress only"), (misnamed, "annotate what it yields")]
)
def test_a_generator_that_cannot_work_is_refused(function: Callable[..., Any], sentence: str) -> None:
    """While decorating."""
    with pytest.raises(HandlerSignatureError, match=sentence):
        an_executor(function)


def test_a_class_is_no_function() -> None:
    """Its object is, if it can be called."""

    class Model:
        def __call__(self) -> Finding:
            return Finding(answer="called")

    with pytest.raises(Exception, match=r"put @executor\.include above the class"):
        an_executor(Model)
    with in_process(an_executor(Model())) as rt:
        assert rt.execute({}).output.answer == "called"
