"""Each task type has its inputs, its output and its judgement; a kernel runs both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.two_task_types.app import executor
from executor_sdk import InvalidInputsError, in_process
from tests.examples.behind_kernel import decided

INVOICE = {"stated_cents": 300, "line_cents": [100, 200]}
DEBT = {"days": 31}


@pytest.mark.parametrize(
    ("task_type", "inputs", "expected"),
    [
        ("audit", INVOICE, ("PAY", "300 cents")),
        ("audit", {**INVOICE, "stated_cents": 301}, ("ASK_BACK", "300 cents")),
        ("remind", DEBT, ("REMIND", "31 days")),
        ("remind", {"days": 30}, ("WAIT", "30 days")),
    ],
)
def test_each_type_decides_for_itself(task_type: str, inputs: dict[str, Any], expected: tuple[str, str]) -> None:
    """And its candidate passes."""
    with in_process(executor) as rt:
        done = rt.execute(inputs, task_type=task_type)

        assert (done.output.decision, done.output.answer) == expected
        assert rt.verify(done).status == "passed"


@pytest.mark.parametrize(("task_type", "inputs"), [("audit", INVOICE), ("remind", DEBT)])
def test_what_cannot_be_worked_out_again_fails(task_type: str, inputs: dict[str, Any]) -> None:
    """For the author's own reason, which `/capabilities` lists."""
    with in_process(executor) as rt:
        done = rt.execute(inputs, task_type=task_type)
        judged = rt.verify(done, output={**done.answer["candidate_output"], "answer": "made up"})

        assert (judged.status, judged.reason_codes) == ("failed", [1001])
        assert rt.capabilities()["reason_codes"] == {"1001": "NOT_REPRODUCED"}


def test_the_inputs_of_one_are_not_those_of_the_other() -> None:
    """The error names the field."""
    with in_process(executor) as rt, pytest.raises(InvalidInputsError, match=r"inputs\.stated_cents"):
        rt.execute(DEBT, task_type="audit")


@pytest.mark.anyio
@pytest.mark.parametrize(("task_type", "inputs", "decision"), [("audit", INVOICE, "PAY"), ("remind", DEBT, "REMIND")])
async def test_three_agents_decide_behind_a_kernel(
    task_type: str, inputs: dict[str, Any], decision: str, tmp_path: Path
) -> None:
    """A run asks for one of the two."""
    aggregation = await decided(executor, inputs, state_dir=tmp_path, task_type=task_type)

    assert aggregation["decision_votes"] == {decision: 3}
