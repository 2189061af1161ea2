"""A handler may be a generator that yields its progress, and last of all its result."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from executor_sdk import Executor, InvalidOutputError, Partial, Progress, Task, TaskCancelled, in_process
from executor_sdk.errors import HandlerSignatureError
from executor_sdk.testing import a_task


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


def test_what_is_reported_meanwhile_is_seen_by_a_test() -> None:
    """Progress with its note, in the order of its reports."""
    with in_process(an_executor(walking)) as rt:
        done = rt.execute({})
        again = rt.execute({})

    assert (done.progress, done.partials) == ([(0.25, "on the way"), (0.75, "")], [])
    assert again.progress == done.progress


async def a_coroutine(task: Task) -> Finding:
    """Reports by calls, in the loop."""
    task.partial(Finding(answer="so"))
    task.metric("tokens", 1)
    task.log.info("said")
    task.partial({"answer": "so far"})
    return Finding(answer="so far so good")


def a_function(task: Task) -> Finding:
    """Reports by calls, in a thread."""
    task.partial(Finding(answer="so"))
    task.metric("tokens", 1)
    task.log.info("said")
    task.partial({"answer": "so far"})
    return Finding(answer="so far so good")


def a_generator(task: Task) -> Iterator[Progress | Partial | Finding]:
    """Reports what it yields, in a thread."""
    yield Partial(Finding(answer="so"))
    task.metric("tokens", 1)
    task.log.info("said")
    yield Partial({"answer": "so far"})
    yield Finding(answer="so far so good")


async def an_async_generator(task: Task) -> AsyncIterator[Partial | Finding]:
    """Reports what it yields, in the loop."""
    yield Partial(Finding(answer="so"))
    task.metric("tokens", 1)
    task.log.info("said")
    yield Partial({"answer": "so far"})
    yield Finding(answer="so far so good")


class AnObject:
    """Each kind of method, and a call."""

    async def method(self, task: Task) -> Finding:
        """A bound one."""
        return await a_coroutine(task)

    def generator_method(self, task: Task) -> Iterator[Partial | Finding]:
        """A bound one that yields."""
        yield from a_generator(task)  # type: ignore[misc]

    @staticmethod
    def static(task: Task) -> Finding:
        """One without an instance."""
        return a_function(task)

    def __call__(self, task: Task) -> Finding:
        """The object itself."""
        return a_function(task)


class AsyncCallable:
    """An object that is called like an async generator function."""

    async def __call__(self, task: Task) -> AsyncIterator[Partial | Finding]:
        """Yields in the loop."""
        async for item in an_async_generator(task):
            yield item


def later(text: str, task: Task) -> Iterator[Partial | Finding]:
    """Has an argument that is given beforehand."""
    assert text == "given"
    yield from a_generator(task)  # type: ignore[misc]


@pytest.mark.parametrize(
    "function",
    [
        a_coroutine,
        a_function,
        a_generator,
        an_async_generator,
        AnObject().method,
        AnObject().generator_method,
        AnObject.static,
        AnObject(),
        AsyncCallable(),
        partial(later, "given"),
    ],
)
def test_every_kind_of_function_reports_alike(function: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """By `task.partial` and by `yield Partial(...)`; what callers are answered is the last thing, whole."""
    caplog.set_level(logging.INFO, "executor_sdk.task")
    with in_process(an_executor(function)) as rt:
        done = rt.execute({})

    assert done.output == Finding(answer="so far so good")
    assert done.partials == [{"answer": "so"}, {"answer": "so far"}]
    assert done.metrics["tokens"].value == 1
    assert [record.message.partition("] ")[2] for record in caplog.records] == ["said", "used tokens 1"]


def test_a_partial_output_stops_who_is_no_longer_wanted() -> None:
    """As progress does: the work is cancelled from the fraction on that the test names."""
    told: list[str] = []

    async def writing(task: Task) -> AsyncIterator[Progress | Partial | Finding]:
        try:
            with suppress(TaskCancelled):
                task.progress(0.5)
            told.append("half")
            yield Partial("so far")
            told.append("never")
            yield Finding(answer="")
        finally:
            told.append("closed")

    with in_process(an_executor(writing)) as rt, pytest.raises(TaskCancelled):
        rt.execute({}, cancel_at=0.5)

    assert told == ["half", "closed"]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (object(), "task.partial was given an object"),
        ({"answer": float("nan")}, "task.partial was given"),
        ("x" * 65_535, "task.partial was given 65537 bytes; an output has 65536 at most"),
    ],
)
def test_what_no_output_may_be_is_no_partial_one(output: object, sentence: str) -> None:
    """Told where it is given."""
    with pytest.raises(InvalidOutputError, match=sentence):
        a_task().partial(output)


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
