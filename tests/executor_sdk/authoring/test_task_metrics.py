"""What a task has used is added up, bounded, logged, and told to its callers beside the answer."""

from __future__ import annotations

import logging
import threading
from decimal import Decimal
from typing import Any

import orjson
import pytest

from executor_sdk import Executor, Refuse, Task, TryLater, in_process
from executor_sdk.authoring.task_metrics import MAX_NAMES
from executor_sdk.client.asks import Asked
from executor_sdk.client.exchange import Answer
from executor_sdk.misuse import MisuseError
from executor_sdk.protocol.integers import MAX_INT
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import Metric
from executor_sdk.testing import a_task


def test_calls_of_one_name_add_up() -> None:
    """A unit may be left out, before and after."""
    task = a_task()
    task.metric("tokens", 800)
    task.metric("tokens", 12, "token")
    task.metric("tokens", 0)
    task.metric("gen_ai.cost/1-day", 0.25, "USD")
    task.metric("gen_ai.cost/1-day", 1, "USD")

    assert task.metrics == {
        "tokens": {"value": 812, "unit": "token"},
        "gen_ai.cost/1-day": {"value": 1.25, "unit": "USD"},
    }
    assert a_task().metrics == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("", 1), "a metric's name is up to 64"),
        (("to kens", 1), "and begins with a letter, not 'to kens'; write"),
        (("t" * 65, 1), "a metric's name is up to 64"),
        ((None, 1), "a metric's name is up to 64"),
        (("tokens", "812"), "is a number, not a str; write task.metric"),
        (("tokens", True), "is a number, not a bool"),
        (("cost", Decimal("0.1")), "is a number, not a Decimal"),
        (("cost", float("nan")), "0 or more, and finite, not nan"),
        (("cost", float("inf")), "0 or more, and finite, not inf"),
        (("cost", -1), "0 or more, and finite, not -1"),
        (("cost", MAX_INT + 1), "larger than any answer can say"),
        (("cost", 1, "US dollars"), "up to 32 ASCII characters without spaces"),
        (("cost", 1, None), "up to 32 ASCII characters without spaces"),
        (("cost",), r"write task.metric\('tokens', 812\)"),
    ],
)
def test_what_is_no_metric_is_told(given: tuple[Any, ...], sentence: str) -> None:
    """With what to write instead; nothing of it is counted."""
    task = a_task()

    with pytest.raises(MisuseError, match=sentence):
        task.metric(*given)
    assert task.metrics == {}


def test_sums_are_bounded() -> None:
    """In their size, their unit and their number."""
    task = a_task()
    task.metric("n0", MAX_INT)
    task.metric("n1", 1e308, "s")
    for n in range(2, MAX_NAMES):
        task.metric(f"n{n}", 1)

    with pytest.raises(MisuseError, match="larger than any answer"):
        task.metric("n0", 1)
    with pytest.raises(MisuseError, match="larger than any answer"):
        task.metric("n1", 1e308)
    with pytest.raises(MisuseError, match="is counted in s, and cannot be added up with ms"):
        task.metric("n1", 1, "ms")
    with pytest.raises(MisuseError, match="has 64 metrics at most, and 'more' is one more"):
        task.metric("more", 1)
    assert task.metrics["n0"] == {"value": MAX_INT, "unit": ""}


def test_threads_lose_nothing() -> None:
    """Also the first call, which makes what is added to."""
    task, together = a_task(), threading.Barrier(8)

    def work() -> None:
        together.wait(5)
        for _ in range(500):
            task.metric("calls", 1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert task.metrics["calls"]["value"] == 4000


def asking(*, fails: int = 0) -> Executor:
    """An executor that pays 100 tokens for each try, and fails so often."""
    executor = Executor("acme", "m-1")
    failed: list[int] = []

    @executor.execute("paid", retries=2, backoff_s=0)
    async def paid(task: Task) -> dict[str, str]:
        task.metric("tokens", 100, "token")
        if len(failed) < fails:
            failed.append(1)
            raise TryLater("busy", after_s=0)
        return {"answer": "paid"}

    @executor.execute("free")
    async def free(task: Task) -> dict[str, str]:
        return {"answer": "free"}

    @executor.execute("refused")
    async def refused(task: Task) -> dict[str, str]:
        task.metric("tokens", 7)
        raise Refuse("NO", "never")

    return executor


def test_callers_are_told_and_a_failed_try_was_paid_too(caplog: pytest.LogCaptureFixture) -> None:
    """Beside the answer, in `Done` and in `Answered`; and in the log."""
    caplog.set_level(logging.INFO, "executor_sdk.task")
    with in_process(asking(fails=2)) as rt:
        done = rt.execute({}, task_type="paid")
        answered = rt.call(lambda: rt.client.ask({}, task_type="paid", profile="default"))

    assert done.metrics == {"tokens": Metric(300, "token")}
    assert answered.metrics == {"tokens": Metric(100, "token")}
    used = [record for record in caplog.records if "used" in record.getMessage()]
    assert used[0].getMessage() == f"[{done.request['execution_id']}] used tokens 300 token"
    assert used[0].__dict__["metrics"] == {"tokens": {"value": 300, "unit": "token"}}


def test_an_answer_without_metrics_has_the_bytes_it_always_had() -> None:
    """No key where nothing was counted."""
    with in_process(asking()) as rt:
        assert list(rt.execute({}, task_type="free").answer) == ["candidate_output", "evidence_inline", "evidence_refs"]
        assert rt.execute({}, task_type="free").metrics == {}


def test_copies_get_the_same_bytes() -> None:
    """What is replayed tells what was used when it was done."""
    with in_process(asking()) as rt:
        done = rt.execute({}, task_type="paid")
        copies: list[Answer] = [rt.send("/execute", done.request) for _ in range(2)]

        assert [orjson.loads(copy.body) for copy in copies] == [done.answer] * 2
        assert copies[0].body == copies[1].body
        assert rt.verify(done).status == "passed"


def test_what_was_used_by_work_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Its answer tells the error alone."""
    caplog.set_level(logging.INFO, "executor_sdk.task")
    with in_process(asking()) as rt, pytest.raises(Refuse):
        rt.execute({}, task_type="refused")

    assert [
        record.getMessage().partition("] ")[2] for record in caplog.records if record.name == "executor_sdk.task"
    ] == ["used tokens 7"]


def test_what_another_executor_means_by_the_key_is_left_out() -> None:
    """It is no part of the contract."""
    answer: dict[str, Json] = {"candidate_output": {}, "evidence_inline": [], "evidence_refs": []}

    assert Asked({}, answer).metrics == {}
    assert Asked({}, {**answer, "metrics": [1]}).metrics == {}
    assert Asked({}, {**answer, "metrics": {"a": 1, "b": {"value": "x"}, "c": {"value": 2}}}).metrics == {
        "c": Metric(2)
    }
