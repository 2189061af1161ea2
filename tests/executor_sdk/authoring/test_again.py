"""A function is called again after what may pass, within its time, and for the callers it is one work."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from executor_sdk import (
    Executor,
    ExecutorError,
    FetchError,
    ReasonCode,
    Refuse,
    Task,
    TaskTimeoutError,
    TryLater,
    in_process,
)
from executor_sdk.authoring.again import MAX_PAUSE_S, Again, may_pass
from executor_sdk.errors import (
    ExecutorRefusedError,
    ExecutorUnreachableError,
    HandlerCrashedError,
    TaskLostError,
    UnfetchableError,
)


def refused(status: int) -> ExecutorRefusedError:
    """An answer of another executor."""
    return ExecutorRefusedError("m", status=status, reason_phrase="", answer="")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (TryLater("busy"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (FetchError(ReasonCode.EVIDENCE_UNREACHABLE, "m"), True),
        (UnfetchableError("m"), False),
        (ExecutorUnreachableError("m"), True),
        (refused(503), True),
        (refused(429), True),
        (refused(422), False),
        (httpx2.ConnectTimeout("m"), True),
        (httpx2.InvalidURL("m"), False),
        (Refuse("NO", "never"), False),
        (ValueError(), False),
        (FileNotFoundError(), False),
        (TaskLostError("m"), False),
    ],
)
def test_what_may_pass(error: Exception, passes: bool) -> None:
    """What speaks of the moment, and not of the task or of a fault."""
    assert may_pass(error) is passes


def test_the_pause_doubles_and_never_takes_all_that_is_left() -> None:
    """Up to a minute, up to half shorter by chance; who says how long is believed."""
    again = Again(retries=50, backoff_s=1.0)
    pauses = [again.pause_s(ConnectionError(), failed=failed, left_s=1e9) or 0.0 for failed in range(1, 51)]

    assert all(0.5 * longest <= pause <= longest for pause, longest in zip(pauses, (1, 2, 4, 8, 16, 32), strict=False))
    assert max(pauses) <= MAX_PAUSE_S
    assert again.pause_s(TryLater("m", after_s=7), failed=1, left_s=8) == 7
    assert again.pause_s(TryLater("m", after_s=7), failed=1, left_s=7) is None
    assert again.pause_s(TryLater("m"), failed=51, left_s=1e9) is None
    assert Again(retries=3, backoff_s=0).pause_s(ConnectionError(), failed=3, left_s=1) == 0


@pytest.mark.parametrize(("other", "calls"), [(ConnectionError(), 2), (Refuse("NO", "never"), 1)])
def test_several_errors_at_once_may_pass_if_each_may(other: Exception, calls: int) -> None:
    """As a task group raises them that asks two others."""
    executor, called = Executor("test", "both-1"), []

    @executor.execute("both", retries=1, backoff_s=0)
    async def both(task: Task) -> dict[str, Any]:
        called.append(task)
        raise ExceptionGroup("both", [TryLater("busy"), other])

    with in_process(executor) as rt, pytest.raises(ExecutorError):
        rt.execute({})

    assert len(called) == calls


class Flaky:
    """An executor whose handlers fail so often, in each of the ways to write one."""

    def __init__(self, fails: int, error: Exception, **options: Any) -> None:
        self.calls = 0
        self.executor = Executor("test", "flaky-1", **options)

        def call(task: Task) -> dict[str, Any]:
            self.calls += 1
            task.evidence(f"call {self.calls}")
            task.artifact(b"%d" % self.calls, "text/plain")
            if self.calls <= fails:
                raise error
            return {"answer": f"after {self.calls} calls"}

        @self.executor.execute("async", retries=2, backoff_s=0)
        async def in_the_loop(task: Task) -> dict[str, Any]:
            return call(task)

        @self.executor.execute("plain", retries=2, backoff_s=0)
        def in_a_thread(task: Task) -> dict[str, Any]:
            return call(task)

        @self.executor.execute("never")
        async def never_again(task: Task) -> dict[str, Any]:
            return call(task)


@pytest.mark.parametrize("task_type", ["async", "plain"])
def test_a_function_is_called_again_and_only_its_last_call_counts(task_type: str) -> None:
    """The evidence of calls that failed is not sent, nor kept."""
    flaky = Flaky(2, ConnectionResetError("gone"))
    with in_process(flaky.executor) as rt:
        done = rt.execute({}, task_type=task_type)

        assert done.output == {"answer": "after 3 calls"}
        assert [one.content for one in done.evidence_inline] == ["call 3"]
        assert len(done.evidence_refs) == len(rt.artifacts) == 1


@pytest.mark.parametrize(
    ("error", "told", "calls"),
    [
        (TryLater("busy", after_s=0), TryLater, 3),
        (ConnectionResetError("gone"), HandlerCrashedError, 3),
        (Refuse("NO", "never"), Refuse, 1),
        (ValueError("a fault"), HandlerCrashedError, 1),
        (TryLater("busy", after_s=3_600), TryLater, 1),
    ],
)
def test_after_the_last_time_the_error_goes_out_as_it_is(error: Exception, told: type[Exception], calls: int) -> None:
    """What can never pass goes out at once, and so does what passes too late."""
    flaky = Flaky(9, error)
    with in_process(flaky.executor) as rt, pytest.raises(told):
        rt.execute({}, task_type="async")

    assert flaky.calls == calls


def test_without_the_option_nothing_is_called_again() -> None:
    """The kernel decides."""
    flaky = Flaky(1, TryLater("busy", after_s=0))
    with in_process(flaky.executor) as rt, pytest.raises(TryLater):
        rt.execute({}, task_type="never")

    assert flaky.calls == 1


def test_the_deadline_is_one_for_all_calls() -> None:
    """However often it may be called again."""
    executor, calls = Executor("test", "slow-1"), list[int]()

    @executor.execute("swarm", retries=1_000_000, backoff_s=0, timeout_s=0.2)
    async def busy(task: Task) -> dict[str, Any]:
        calls.append(1)
        raise ConnectionError

    with in_process(executor) as rt, pytest.raises((TaskTimeoutError, HandlerCrashedError)):
        rt.execute({})

    assert 1 < len(calls) < 1_000_000
