"""What a test can ask of an executor: refusals, crashes, rounds, a cancel, and any bytes."""

import pytest
from app import executor
from streaming import executor as pages

from executor_sdk import InvalidInputsError, TaskCancelled, in_process
from executor_sdk.errors import UnfetchableError

URL = "https://data.example.com/sales.csv"


def test_inputs_that_do_not_fit_are_refused_for_good() -> None:
    with in_process(executor) as rt, pytest.raises(InvalidInputsError, match="data_url"):
        rt.execute({"url": URL})


def test_what_a_kernel_adds_to_the_inputs() -> None:
    with in_process(executor, files={URL: b"region,amount\nnorth,5\n"}) as rt:
        rt.execute({"data_url": URL}, prompt="look at regions", signal={"type": "NEED_MORE_EVIDENCE", "iteration": 1})


def test_an_address_that_is_none() -> None:
    with in_process(executor) as rt, pytest.raises(UnfetchableError):
        rt.execute({"data_url": "data:nothing"})


def test_work_that_nobody_wants_stops_at_its_next_progress() -> None:
    with in_process(pages) as rt, pytest.raises(TaskCancelled):
        rt.execute({"pages": ["a b", "c", "d"]}, cancel_at=0.5)


def test_a_worse_output_does_not_pass() -> None:
    with in_process(executor, files={URL: b"region,amount\nnorth,5\n"}) as rt:
        done = rt.execute({"data_url": URL})
        assert rt.verify(done, output={"decision": "GROWTH"}).status == "failed"  # the contract wants `answer`


def test_the_wire_itself() -> None:
    with in_process(executor) as rt:
        assert rt.send("/execute", b"no json").status == 400
