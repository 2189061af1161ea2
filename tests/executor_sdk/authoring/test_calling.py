"""How an author's function is called: its time, its threads, its context, its exceptions."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from executor_sdk import (
    Executor,
    ExecutorError,
    HandlerCrashedError,
    InvalidOutputError,
    Refuse,
    Task,
    TaskCancelled,
    TaskTimeoutError,
    TryLater,
)
from executor_sdk.authoring import deadline
from executor_sdk.authoring.calling import Surroundings
from executor_sdk.authoring.handler import Handler
from executor_sdk.authoring.threads import Threads
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import UnfetchableError
from executor_sdk.testing.tasks import a_task

pytestmark = pytest.mark.anyio

AROUND = Surroundings(Threads(4))
TRACE: ContextVar[str] = ContextVar("TRACE", default="none")


def handler_of(function: Callable[..., Any], timeout_s: float = 5.0) -> Handler:
    """The handler that decorating `function` makes."""
    executor = Executor("acme", "m-1")
    executor.execute("t", timeout_s=timeout_s)(function)
    return executor.registry.find("t", "default")


async def called(function: Callable[..., Any], timeout_s: float = 5.0, task: Task | None = None) -> Any:
    """What the handler of `function` produces."""
    handler = handler_of(function, timeout_s)
    with anyio.fail_after(5):
        return (await handler.call({}, task or a_task(), AROUND, Alarms(timeout_s))).output


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets threads go that a test left behind."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_coroutine_is_stopped_at_its_deadline() -> None:
    """The error names the function and its time."""

    async def slow(task: Task) -> dict[str, Any]:
        await anyio.sleep_forever()
        return {}

    with pytest.raises(TaskTimeoutError, match=r"slow did not finish within 0\.05 s"):
        await called(slow, 0.05)


async def test_a_thread_is_abandoned_at_its_deadline_and_stops_at_its_next_progress(release: threading.Event) -> None:
    """A thread cannot be interrupted, but the caller does not wait for it."""
    stopped = threading.Event()

    def slow(task: Task) -> dict[str, Any]:
        release.wait(5)
        try:
            task.progress(0.5)
        except TaskCancelled:
            stopped.set()
            raise
        return {}

    with pytest.raises(TaskTimeoutError):
        await called(slow, 0.05)
    release.set()

    assert await anyio.to_thread.run_sync(stopped.wait, 5)


async def test_the_authors_own_timeout_error_is_a_crash() -> None:
    """It says nothing about the budget."""

    async def impatient(task: Task) -> dict[str, Any]:
        async with asyncio.timeout(0):
            await anyio.sleep_forever()
        return {}

    with pytest.raises(HandlerCrashedError, match="impatient raised TimeoutError"):
        await called(impatient)


async def test_a_plain_function_runs_in_a_thread_of_the_kits_own_with_the_callers_context() -> None:
    """Context variables are copied; what the thread sets stays there."""
    seen: list[Any] = []

    def plain(task: Task) -> dict[str, Any]:
        seen.append((TRACE.get(), threading.current_thread() is threading.main_thread()))
        TRACE.set("changed")
        return {"answer": ""}

    TRACE.set("t-1")
    await called(plain)

    assert seen == [("t-1", False)]
    assert TRACE.get() == "t-1"


async def test_blocked_handlers_leave_the_shared_threads_alone(release: threading.Event) -> None:
    """Handlers wait for each other in their own limiter, not in the one that anyio gives everybody."""
    executor, around = Executor("acme", "m-1"), Surroundings(Threads(1))
    executor.execute("t")(lambda: release.wait(5))
    handler = executor.registry.find("t", "default")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(handler.call, {}, a_task(), around, Alarms(5))
            await anyio.wait_all_tasks_blocked()
            free = anyio.to_thread.current_default_thread_limiter().statistics()
            group.cancel_scope.cancel()

    assert free.borrowed_tokens == 0
    assert around.threads.busy == 1


async def test_what_an_author_raises_on_purpose_comes_through() -> None:
    """Also from inside a task group of the author's."""

    async def refusing(task: Task) -> dict[str, Any]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            raise Refuse("NO", "never")
        return {}

    async def waiting(task: Task) -> dict[str, Any]:
        raise TryLater("busy", after_s=3)

    with pytest.raises(Refuse, match="never"):
        await called(refusing)
    with pytest.raises(TryLater, match="busy"):
        await called(waiting)


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        ([TryLater("busy"), TryLater("busy, too")], TryLater),
        ([TryLater("busy"), Refuse("NO", "never")], Refuse),
        ([TryLater("busy"), UnfetchableError("it is not there")], UnfetchableError),
    ],
)
async def test_of_several_errors_that_are_meant_a_final_one_counts(
    together: list[Exception], expected: type[ExecutorError]
) -> None:
    """Others that a task group asks at once may fail at once."""

    async def asking(task: Task) -> dict[str, Any]:
        raise ExceptionGroup("both", together)

    with pytest.raises(expected):
        await called(asking)


async def test_a_cancel_inside_the_authors_task_group_is_a_cancel() -> None:
    """Not a group of exceptions, and not a crash."""

    async def grouped(task: Task) -> dict[str, Any]:
        async def report() -> None:
            task.progress(0.5)

        async with anyio.create_task_group() as group:
            group.start_soon(report)
            group.start_soon(anyio.sleep_forever)
        return {}

    with pytest.raises(TaskCancelled):
        await called(grouped, task=a_task(cancel_at=0.5))


async def test_except_exception_does_not_swallow_a_cancel() -> None:
    """TaskCancelled is a BaseException, in threads too."""

    def stubborn(task: Task) -> dict[str, Any]:
        try:
            task.progress(1.0)
        except Exception:  # noqa: BLE001 - what authors write
            return {"answer": "swallowed"}
        return {}

    with pytest.raises(TaskCancelled):
        await called(stubborn, task=a_task(cancel_at=0.5))


async def own_cancel(task: Task) -> dict[str, Any]:
    """Awaits something that is cancelled, though nobody cancels the handler."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future
    return {}


async def exits(task: Task) -> dict[str, Any]:
    """Wants to end the process."""
    raise SystemExit(3)


class Outcry(BaseException):
    """As test frameworks and event loops have them: not an Exception."""


async def cries(task: Task) -> dict[str, Any]:
    """Raises what `except Exception` does not see."""
    raise Outcry


def cries_in_a_thread(task: Task) -> dict[str, Any]:
    """The same in plain code."""
    raise Outcry


def divides(task: Task) -> dict[str, Any]:
    """Has a bug, and a secret in its message."""
    raise ZeroDivisionError("password=hunter2")


async def two_bugs(task: Task) -> dict[str, Any]:
    """Raises two exceptions at once."""
    raise ExceptionGroup("both", [ValueError("a"), Refuse("NO", "never")])


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (own_cancel, "CancelledError"),
        (exits, "SystemExit"),
        (cries, "Outcry"),
        (cries_in_a_thread, "Outcry"),
        (divides, "ZeroDivisionError"),
        (two_bugs, "ExceptionGroup"),
    ],
)
async def test_anything_else_is_a_crash_logged_once_with_its_traceback(
    function: Callable[[Task], Awaitable[Any]], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The wire gets the exception's type and a reference; the log has the rest under that reference."""
    with caplog.at_level(logging.ERROR), pytest.raises(HandlerCrashedError) as told:
        await called(function)

    assert told.value.details["exception"] == name
    assert "hunter2" not in str(told.value.body())
    assert len(caplog.records) == 1
    assert told.value.details["reference"] in caplog.text
    assert "Traceback" in caplog.text


async def test_an_outer_cancel_is_no_crash() -> None:
    """Who cancels the work from outside gets a cancelled task, and nothing is logged."""

    async def slow(task: Task) -> dict[str, Any]:
        await anyio.sleep_forever()
        return {}

    handler = handler_of(slow)
    with anyio.move_on_after(0.05) as scope:
        await handler.call({}, a_task(), AROUND, Alarms(5))

    assert scope.cancelled_caught


@pytest.mark.parametrize("value", [{"answer": float("nan")}, {object: "x"}, {"answer": object()}, object()])
async def test_an_output_that_is_no_json_is_refused(value: Any) -> None:
    """The author hears it, not the kernel."""

    async def odd(task: Task):  # type: ignore[no-untyped-def]
        return value

    with pytest.raises(InvalidOutputError, match=r"odd returned .*: .*; "):
        await called(odd)


async def test_falling_over_while_cleaning_up_at_the_deadline_is_still_a_timeout() -> None:
    """What the author hears first is what happened first."""

    async def clumsy(task: Task) -> dict[str, Any]:
        try:
            await anyio.sleep_forever()
        finally:
            raise ZeroDivisionError

    with pytest.raises(TaskTimeoutError, match="clumsy did not finish within"):
        await called(clumsy, 0.05)


async def test_a_thread_that_never_got_to_begin_frees_its_slot() -> None:
    """Cancelled between the slot and the thread."""
    threads = Threads(1)
    began: list[bool] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await threads.run(began.append, True)

    assert threads.busy == 0
    with anyio.fail_after(5):
        await threads.run(began.append, True)
    assert began == [True]


async def test_a_function_that_swallows_its_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once is not enough for code that catches everything; the caller hears of the deadline all the same."""
    monkeypatch.setattr(deadline, "AGAIN_S", 0.01)
    told: list[int] = []

    async def stubborn(task: Task) -> dict[str, Any]:
        try:
            await anyio.sleep_forever()
        except BaseException:  # noqa: BLE001 - what the test is about
            told.append(1)
        await anyio.sleep_forever()
        return {}

    with pytest.raises(TaskTimeoutError, match="stubborn did not finish within"):
        await called(stubborn, 0.01)
    assert told == [1]
