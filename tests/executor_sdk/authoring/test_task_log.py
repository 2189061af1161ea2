"""Every record of a task's log says which task it speaks of."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from executor_sdk import Executor, Task, in_process
from executor_sdk.testing import a_task

FACTS = ("task_type", "execution_id", "task_id", "attempt")


def facts_of(record: logging.LogRecord) -> list[Any]:
    """What a formatter may show."""
    return [getattr(record, name) for name in FACTS]


def test_records_carry_the_facts_of_their_task(caplog: pytest.LogCaptureFixture) -> None:
    """As attributes, so that any format can name them, beside what the author adds."""
    task = a_task({"agent_id": "a"}, task_id="run-r-a-2")
    with caplog.at_level(logging.INFO):
        task.log.info("%d rows", 3, extra={"source": "q3", "attempt": 99})

    (record,) = caplog.records
    assert facts_of(record) == ["swarm", "exec-p-test", "run-r-a-2", 2]
    assert (record.name, record.filename, record.__dict__["source"]) == ("executor_sdk.task", "test_task_log.py", "q3")
    assert logging.Formatter("%(message)s %(task_id)s").format(record) == "[exec-p-test] 3 rows run-r-a-2"
    assert json.loads(json.dumps({name: getattr(record, name) for name in FACTS}))["attempt"] == 2


def test_an_id_from_outside_breaks_no_line_and_no_format(caplog: pytest.LogCaptureFixture) -> None:
    """The sender of a task chooses it."""
    task = a_task(execution_id="x\n2026 ERROR %s forged" + "y" * 500)
    with caplog.at_level(logging.INFO):
        task.log.info("%s", "said")

    (record,) = caplog.records
    assert record.getMessage() == "[x?2026?ERROR??s?forged" + "y" * 42 + "] said"
    assert record.__dict__["execution_id"] == task.execution_id


def test_threads_of_a_handler_write_to_it_too(caplog: pytest.LogCaptureFixture) -> None:
    """Those of the kit, and those of the author."""
    executor = Executor("acme", "m-1")

    @executor.execute("t")
    def plain(task: Task) -> dict[str, str]:
        task.log.warning("of the kit")
        mine = threading.Thread(target=lambda: task.log.warning("of the author"))
        mine.start()
        mine.join()
        return {"answer": task.execution_id}

    with in_process(executor) as rt:
        execution_id = rt.execute({}).output["answer"]

    said = [record for record in caplog.records if record.name == "executor_sdk.task"]
    assert [record.getMessage() for record in said] == [
        f"[{execution_id}] of the kit", f"[{execution_id}] of the author",
    ]  # fmt: skip
    assert {record.__dict__["execution_id"] for record in said} == {execution_id}


def test_a_log_that_nobody_uses_is_not_made() -> None:
    """It costs nothing on the way of every request."""
    task = a_task()

    assert "log" not in vars(task)
    assert task.log is task.log
