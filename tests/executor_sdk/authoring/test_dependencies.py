"""Dependencies are made once per call, closed after it, and replaced in tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from executor_sdk import Depends, Executor, HandlerCrashedError, Task, in_process

log: list[str] = []


class Store:
    """What handlers depend on here."""

    def __init__(self, name: str = "class") -> None:
        self.name = name


def plain() -> Store:
    """Made by a plain function."""
    return Store("plain")


async def asynchronous(task: Task) -> Store:
    """Made by an asynchronous function, of the task."""
    return Store(f"asynchronous for {task.agent_id}")


def generated() -> Iterator[Store]:
    """Made, and closed in a thread."""
    log.append("open generated")
    try:
        yield Store("generated")
    except ValueError:
        log.append("saw ValueError")
        raise
    finally:
        log.append("close generated")


async def opened(inner: Annotated[Store, Depends(generated)]) -> AsyncIterator[Store]:
    """Made of another dependency, and closed before it."""
    log.append(f"open on {inner.name}")
    yield Store(f"opened on {inner.name}")
    log.append("close opened")


@pytest.fixture
def executor() -> Executor:
    """An executor without functions, and an empty log."""
    log.clear()
    return Executor("acme", "m-1")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (plain, "plain"),
        (asynchronous, "asynchronous for a"),
        (generated, "generated"),
        (opened, "opened on generated"),
        (Store, "class"),
        (lambda: Store("lambda"), "lambda"),
    ],
)
def test_every_shape_of_make_works(executor: Executor, make: Any, name: str) -> None:
    """Functions, coroutines, generators of both kinds, classes."""

    @executor.execute
    async def handler(store: Annotated[Store, Depends(make)]) -> dict[str, Any]:
        return {"answer": store.name}

    with in_process(executor) as rt:
        assert rt.execute({}, agent_id="a").output == {"answer": name}


def test_what_was_opened_is_closed_in_reverse(executor: Executor) -> None:
    """And shared by all who ask for it in one call."""

    @executor.execute
    def handler(
        outer: Annotated[Store, Depends(opened)], inner: Annotated[Store, Depends(generated)]
    ) -> dict[str, Any]:
        log.append("work")
        return {"answer": ""}

    with in_process(executor) as rt:
        rt.execute({})

    assert log == ["open generated", "open on generated", "work", "close opened", "close generated"]


def test_a_failing_handler_is_seen_by_its_dependencies(executor: Executor) -> None:
    """So that a transaction can be rolled back."""

    @executor.execute
    async def handler(store: Annotated[Store, Depends(generated)]) -> dict[str, Any]:
        raise ValueError

    with in_process(executor) as rt, pytest.raises(HandlerCrashedError):
        rt.execute({})

    assert log == ["open generated", "saw ValueError", "close generated"]


def test_a_default_marks_a_dependency_too(executor: Executor) -> None:
    """Both spellings are known."""

    @executor.execute
    async def handler(store: Any = Depends(plain)) -> dict[str, Any]:  # noqa: B008 - the spelling under test
        return {"answer": store.name}

    with in_process(executor) as rt:
        assert rt.execute({}).output == {"answer": "plain"}


def test_a_test_puts_another_in_its_place(executor: Executor) -> None:
    """Deep in the graph too; the executor itself is not changed."""

    @executor.execute
    async def handler(store: Annotated[Store, Depends(opened)]) -> dict[str, Any]:
        return {"answer": store.name}

    with in_process(executor, overrides={generated: lambda: Store("fake")}) as rt:
        assert rt.execute({}).output == {"answer": "opened on fake"}
    with in_process(executor) as rt:
        assert rt.execute({}).output == {"answer": "opened on generated"}
