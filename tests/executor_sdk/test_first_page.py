"""The pages that an author reads first hold as printed."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from executor_sdk import InvalidInputsError, Refuse, TaskCancelled, in_process
from executor_sdk.testing.server import serve
from executor_sdk.testing.tasks import a_task
from tests.executor_sdk.first_page import Ask, Finding, drivers, executor

URL = "https://data.example.com/sales.csv"
FILES = {URL: b"region,amount\nnorth,5\nsouth,3\neast,-1\nwest,2\n"}
ASK = {"data_url": URL}


# fmt: off
def test_three_verdicts() -> None:
    """The third page's first test, as printed."""
    with in_process(executor, files={URL: b"region,amount\nnorth,5\n"}) as rt:     # every wire check, no socket
        done = rt.execute({"data_url": URL})
        assert done.output.decision == "GROWTH" and rt.verify(done).status == "passed"  # noqa: PT018 - printed so
        rt.artifacts[done.evidence_refs[0].digest] = b"forged"
        assert rt.verify(done).status == "failed"


def test_cancel_half_way() -> None:
    """The third page's second test, as printed."""
    with in_process(executor, files=FILES) as rt, pytest.raises(TaskCancelled):
        rt.execute(ASK, cancel_at=0.5)          # by progress: no sleep, no race
# fmt: on


def test_a_real_server_answers_as_the_page_says() -> None:
    """The executor object itself is the ASGI application."""
    with serve(executor) as served:
        answer = httpx2.get(f"{served.url}/capabilities").json()

    assert answer["task_types"] == ["swarm"]
    assert answer["profiles"] == ["default"]
    assert (answer["provider_family"], answer["model_id"]) == ("acme", "drivers-1")
    assert answer["reason_codes"] == {"1001": "TOTAL_DIFFERS"}
    assert answer["handlers"][0]["timeout_s"] == 100


def test_a_file_without_rows_is_refused_for_good() -> None:
    """`Refuse` reaches the caller as a 422 with the author's own code."""
    with (
        in_process(executor, files={URL: b"region,amount\n"}) as rt,
        pytest.raises(Refuse, match="has no rows") as told,
    ):
        rt.execute(ASK)

    assert told.value.code == "NO_SALES"


def test_inputs_that_do_not_fit_are_told_by_their_path() -> None:
    """A missing field is named."""
    with in_process(executor, files=FILES) as rt, pytest.raises(InvalidInputsError, match=r"inputs\.data_url"):
        rt.execute({"url": URL})


def test_another_total_fails_with_the_authors_own_code() -> None:
    """A forged output is found by the author's verifier."""
    with in_process(executor, files=FILES) as rt:
        done = rt.execute(ASK)
        judged = rt.verify(done, output={**done.answer["candidate_output"], "answer": "1000.0"})

    assert (judged.status, judged.reason_codes) == ("failed", [1001])


def test_a_candidate_without_a_file_is_inconclusive() -> None:
    """A verdict that cannot be reached says why."""
    with in_process(executor, files=FILES) as rt:
        done = rt.execute(ASK)
        judged = rt.verify(replace(done, answer={**done.answer, "evidence_refs": []}))

    assert (judged.status, judged.reason_codes) == ("inconclusive", [200])


@pytest.mark.anyio
async def test_the_function_stays_a_function_that_a_test_can_call() -> None:
    """Decorating gives the function back as it was."""
    task = a_task(files=FILES)

    found = await drivers(Ask(data_url=URL), task)

    assert found == Finding(decision="GROWTH", answer="9.0", confidence=0.9)
    assert [item["content"] for item in task.evidence_inline] == ["4 rows, total 9.0"]
    assert [item["mime"] for item in task.evidence_refs] == ["text/csv"]
