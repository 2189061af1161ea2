"""Under a shield nothing interrupts; what was put off takes effect at the end of the block, or when its time is up."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from executor_sdk import Executor, Task, TaskCancelled, TaskTimeoutError, TryLater, cancelling, in_process
from executor_sdk.client.exchange import Answer
from executor_sdk.errors import TaskLostError
from executor_sdk.misuse import MisuseError
from executor_sdk.testing import a_task


async def until_put_off(task: Task, count: int = 1) -> None:
    """Wait until so many stops wait for the end of a block: a deadline, a cancel."""
    hold = task._hold
    assert hold is not None
    with anyio.fail_after(5):
        while len(hold._waiting) < count:
            await asyncio.sleep(0.001)


def until_put_off_in_thread(task: Task) -> None:
    """The same for a plain function."""
    hold, patience = task._hold, threading.Event()
    assert hold is not None
    for _ in range(5_000):
        if hold._waiting:
            return
        patience.wait(0.001)
    raise AssertionError("nothing was put off")


def an_executor(function: Callable[..., Any], **options: Any) -> Executor:
    """An executor of one function."""
    executor = Executor("acme", "m-1")
    executor.execute("t", **options)(function)
    return executor


def test_a_deadline_waits_for_the_end_of_the_block() -> None:
    """Of the outermost one; there, and not at some await after the block, the handler is stopped."""
    said: list[str] = []

    async def paying(task: Task) -> dict[str, str]:
        async with task.shield():
            async with task.shield():
                await until_put_off(task)
            await asyncio.sleep(0)
            task.progress(0.5)
            task.check()
            said.append("paid")
        said.append("never")
        return {"answer": ""}

    with in_process(an_executor(paying, timeout_s=0.02)) as rt, pytest.raises(TaskTimeoutError):
        rt.execute({})

    assert said == ["paid"]


def test_a_cancel_waits_for_the_end_of_the_block() -> None:
    """Progress and check do not raise meanwhile; who asks is told the truth."""
    said: list[object] = []

    async def paying(task: Task) -> dict[str, str]:
        async with task.shield():
            task.progress(0.5)
            task.partial("so far")
            task.check()
            await asyncio.sleep(0)
            said.append(task.cancelled)
        said.append("never")
        return {"answer": ""}

    with in_process(an_executor(paying)) as rt, pytest.raises(TaskCancelled):
        rt.execute({}, cancel_at=0.5)

    assert said == [True]


def test_a_deadline_and_a_cancel_wait_together() -> None:
    """Work that nobody wants is cut, though its time is over, too."""
    said: list[str] = []

    async def paying(task: Task) -> dict[str, str]:
        async with task.shield():
            await until_put_off(task)
            task.progress(0.5)
            await until_put_off(task, 2)
            said.append("paid")
        return {"answer": ""}

    with in_process(an_executor(paying, timeout_s=0.02)) as rt, pytest.raises(TaskCancelled):
        rt.execute({}, cancel_at=0.5)

    assert said == ["paid"]


def test_without_an_interruption_the_block_is_as_if_it_were_not_there() -> None:
    """In each kind of function; what it raises goes on."""

    async def asynchronous(task: Task) -> dict[str, str]:
        with suppress(KeyError):
            async with task.shield(seconds=1):
                raise KeyError
        return {"answer": "done"}

    def plain(task: Task) -> dict[str, str]:
        with suppress(KeyError), task.shield(1):
            raise KeyError
        return {"answer": "done"}

    for function in (asynchronous, plain):
        with in_process(an_executor(function)) as rt:
            assert rt.execute({}).output == {"answer": "done"}


def test_a_plain_function_is_not_stopped_within_the_block() -> None:
    """By a cancel: its progress does not raise there, and the block ends with it."""
    said: list[object] = []

    def paying(task: Task) -> dict[str, str]:
        with task.shield():
            with task.shield():
                task.progress(0.5)
                task.check()
            task.progress(0.6)
            said.append(task.cancelled)
        said.append("never")
        return {"answer": ""}

    with in_process(an_executor(paying)) as rt, pytest.raises(TaskCancelled):
        rt.execute({}, cancel_at=0.5)

    assert said == [True]


def test_the_callers_of_a_plain_function_wait_for_the_block() -> None:
    """The deadline is answered at its end, and the thread stops there too, so that nothing is left behind."""
    said: list[str] = []

    def paying(task: Task) -> dict[str, str]:
        try:
            with task.shield():
                until_put_off_in_thread(task)
                task.progress(0.5)
                said.append("paid")
            said.append("never")
        except TaskCancelled:
            said.append("stopped")
            raise
        return {"answer": ""}

    with in_process(an_executor(paying, timeout_s=0.02)) as rt:
        with pytest.raises(TaskTimeoutError):
            rt.execute({})
        assert said[0] == "paid"

    assert said == ["paid", "stopped"]


@pytest.mark.parametrize("in_loop", [True, False])
def test_a_block_that_takes_too_long_is_interrupted(in_loop: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and whose block it was."""
    stopped = threading.Event()

    async def asynchronous(task: Task) -> dict[str, str]:
        async with task.shield(seconds=0.05):
            await asyncio.Event().wait()
        return {"answer": ""}

    def plain(task: Task) -> dict[str, str]:
        with task.shield(seconds=0.05):
            try:
                while not stopped.is_set():
                    task.check()
            finally:
                stopped.set()
        return {"answer": ""}

    function = asynchronous if in_loop else plain
    with in_process(an_executor(function, timeout_s=0.02)) as rt:
        with pytest.raises(TaskTimeoutError):
            rt.execute({})
        assert in_loop or stopped.wait(5)

    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage().partition("] ")[2] for record in warned] == [
        "a block under task.shield() took longer than its `seconds`, and is interrupted"
    ]
    assert warned[0].__dict__["execution_id"]


def test_cleaning_up_under_a_shield_is_not_interrupted() -> None:
    """Neither by the deadline that has struck already and strikes again, nor by a cancel."""
    said: list[str] = []

    async def untidy(task: Task) -> dict[str, str]:
        try:
            task.progress(0.4)
            await asyncio.Event().wait()
        finally:
            async with task.shield():
                task.progress(0.5)
                await asyncio.sleep(0)
                said.append("tidied up")
        return {"answer": ""}

    with in_process(an_executor(untidy, timeout_s=0.02)) as rt:
        with pytest.raises(TaskTimeoutError):
            rt.execute({})
        with pytest.raises(TaskCancelled):
            rt.execute({}, cancel_at=0.4)
        with pytest.raises(TaskCancelled):
            rt.execute({}, cancel_at=0.5)

    assert said == ["tidied up"] * 3


def test_a_block_in_a_task_of_a_task_group_holds_the_whole_work() -> None:
    """It is the work that a deadline stops, and with it all of its tasks."""
    said: list[str] = []

    async def sharing(task: Task) -> dict[str, str]:
        async def pay() -> None:
            async with task.shield():
                await until_put_off(task)
                said.append("paid")
            await asyncio.Event().wait()

        async def look() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                said.append("looked")

        async with asyncio.TaskGroup() as group:
            group.create_task(pay())
            group.create_task(look())
        return {"answer": ""}

    with in_process(an_executor(sharing, timeout_s=0.02)) as rt, pytest.raises(TaskTimeoutError):
        rt.execute({})

    assert said == ["paid", "looked"]


def test_what_an_author_cancels_is_not_put_off() -> None:
    """A timeout of the author's own."""

    async def impatient(task: Task) -> dict[str, str]:
        with suppress(TimeoutError):
            async with task.shield(), asyncio.timeout(0):
                await asyncio.Event().wait()
        return {"answer": "went on"}

    with in_process(an_executor(impatient)) as rt:
        assert rt.execute({}).output == {"answer": "went on"}


def test_an_error_in_the_block_is_not_tried_again_after_the_deadline() -> None:
    """What was put off comes before the next call of the function."""
    called: list[int] = []

    async def failing(task: Task) -> dict[str, str]:
        called.append(1)
        async with task.shield():
            task.progress(0.5)
            raise TryLater("busy", after_s=0)

    with in_process(an_executor(failing, retries=3)) as rt, pytest.raises(TaskCancelled):
        rt.execute({}, cancel_at=0.5)

    assert called == [1]


def test_a_block_that_outlasts_its_function_stops_nothing() -> None:
    """The work has ended well before the deadline that was put off could strike, and its end is written down."""
    kept: list[asyncio.Task[None]] = []
    answered = asyncio.Event()

    async def hasty(task: Task) -> dict[str, str]:
        held = asyncio.Event()

        async def stay() -> None:
            with suppress(TaskCancelled):
                async with task.shield():
                    held.set()
                    await answered.wait()

        kept.append(asyncio.create_task(stay()))
        await held.wait()
        await until_put_off(task)
        return {"answer": "in time"}

    with in_process(an_executor(hasty, timeout_s=0.02)) as rt:
        done = rt.execute({})

        async def end() -> None:
            answered.set()
            assert cancelling._holds == {}
            await asyncio.wait(kept)

        rt.call(end)
        assert done.output == {"answer": "in time"}
        assert rt.send("/execute", done.request).status == 200


def test_a_server_that_stops_lets_a_block_end() -> None:
    """What is cut after the drain waits for it as a deadline does; the caller hears that the work is lost."""
    said: list[str] = []
    began = threading.Event()

    async def paying(task: Task) -> dict[str, str]:
        async with task.shield():
            began.set()
            await until_put_off(task)
            await asyncio.sleep(0)
            said.append("paid")
        said.append("never")
        return {"answer": ""}

    answers: list[Answer | Exception] = []
    with in_process(an_executor(paying), drain_s=0) as rt:

        def ask() -> None:
            try:
                rt.execute({})
            except TaskLostError as error:
                answers.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        assert began.wait(5)
    asking.join(5)

    assert said == ["paid"]
    assert [type(answer) for answer in answers] == [TaskLostError]


def test_the_wrong_with_is_told() -> None:
    """A plain `with` in a coroutine has no await at its end, at which anything could stop it."""

    async def wrong(task: Task) -> dict[str, str]:
        with task.shield():
            return {"answer": ""}

    with in_process(an_executor(wrong)) as rt, pytest.raises(Exception, match=r"write async with task\.shield\(\):"):
        rt.execute({})


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "5", True, None])
def test_a_shield_has_a_longest_time(seconds: Any) -> None:
    """A finite number of seconds above 0."""
    with pytest.raises(MisuseError, match=r"write task\.shield\(seconds=5\)"):
        a_task().shield(seconds)


def test_a_task_by_hand_has_one_too() -> None:
    """Without any executor: what it puts off is the cancel that the test names."""
    task = a_task(cancel_at=0.5)

    with pytest.raises(TaskCancelled), task.shield():
        task.progress(0.5)
        said = "on"
    assert said == "on"
