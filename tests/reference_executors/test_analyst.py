"""The analyst as an executor: what it answers, what it cites, and what its own verification lets through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor_sdk import InvalidInputsError, Refuse, TaskCancelled, in_process
from executor_sdk.testing.process import InProcess
from reference_executors.analyst import executor, offending_lines
from reference_executors.revenue.lenses import Finding
from reference_executors.revenue.sales import HEADER, read_sales
from tests.reference_executors.sales_files import row, table

URL = "https://sales.example/q3.csv"
EMPTY = "https://sales.example/empty.csv"
PROMPT = "Focus on geographic trends in the revenue data."
TWICE = row("I-7", amount=5000)
SALES = table(
    row("I-1", "2025-04-01"), row("I-2", "2025-04-02", "C-2"), row("I-3"), TWICE, row("I-5", customer="C-2"), TWICE
)
AGAIN = {"type": "NEED_MORE_EVIDENCE", "iteration": 1}


@pytest.fixture
def rt() -> Iterator[InProcess]:
    """The analyst, with a small file of sales."""
    with in_process(executor, files={URL: SALES, EMPTY: b"region,amount\n"}) as running:
        yield running


def test_a_first_look_cites_the_file_by_the_digest_of_what_it_read(rt: InProcess) -> None:
    """The evidence is the file itself, and a sentence for people."""
    done = rt.execute({"data_url": URL}, prompt=PROMPT)

    (ref,) = done.evidence_refs
    assert rt.artifacts[ref.digest] == SALES
    assert [evidence.content for evidence in done.evidence_inline] == [done.output.summary]
    assert rt.verify(done).status == "passed"


def test_asked_for_more_evidence_it_brings_the_offending_lines(rt: InProcess) -> None:
    """The second round's evidence is new, and small enough to be read by eye."""
    done = rt.execute({"data_url": URL}, prompt=PROMPT, signal=AGAIN)

    assert (done.output.decision, done.output.answer) == ("RESTATE", "BOOKED_TWICE")
    assert [anomaly.lines for anomaly in done.output.anomalies] == [[5, 7]]
    _, lines = done.evidence_refs
    assert rt.artifacts[lines.digest].decode() == f"line,{','.join(HEADER)}\n5,{TWICE}\n7,{TWICE}\n"
    assert rt.verify(done).status == "passed"


def test_the_same_task_gives_the_same_answer(rt: InProcess) -> None:
    """Confidence is drawn from a seed that follows from the file, so two verifiers agree on it."""
    once, again = (rt.execute({"data_url": URL}, prompt=PROMPT).output for _ in range(2))

    assert once == again


def test_a_forged_file_fails_the_candidate(rt: InProcess) -> None:
    """What is read again has to have the digest that was cited."""
    done = rt.execute({"data_url": URL}, prompt=PROMPT)
    rt.artifacts[done.evidence_refs[0].digest] = b"forged"

    judged = rt.verify(done)

    assert (judged.status, judged.reason_codes) == ("failed", [203])


def test_a_file_that_is_gone_leaves_the_candidate_open(rt: InProcess) -> None:
    """Who cannot look judges nothing."""
    done = rt.execute({"data_url": URL}, prompt=PROMPT)
    del rt.artifacts[done.evidence_refs[0].digest]

    judged = rt.verify(done)

    assert judged.status == "inconclusive"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"check_summary": "6 lines, 0 unreadable"}, 1001),
        ({"anomalies": [{"kind": "BOOKED_TWICE", "invoice": "I-7", "lines": [4, 5], "amount": 1.0}]}, 1002),
        ({"anomalies": [{"kind": "BOOKED_TWICE", "invoice": "I-7", "lines": [5], "amount": 1.0}]}, 1002),
        ({"anomalies": [{"kind": "BOOKED_TWICE", "invoice": "I-7", "lines": [5, 99], "amount": 1.0}]}, 1002),
        ({"anomalies": []}, 1001),
        ({"decision": "MAYBE"}, 101),
    ],
)
def test_a_finding_that_the_file_does_not_bear_out_fails(rt: InProcess, change: dict[str, object], code: int) -> None:
    """Each fault has a reason code of its own."""
    done = rt.execute({"data_url": URL}, prompt=PROMPT, signal=AGAIN)

    judged = rt.verify(done, output={**done.answer["candidate_output"], **change})

    assert (judged.status, judged.reason_codes) == ("failed", [code])


def test_a_task_that_can_never_be_done_is_refused_for_good(rt: InProcess) -> None:
    """A kernel need not ask again for sales that are not there."""
    with pytest.raises(Refuse, match="no column invoice"):
        rt.execute({"data_url": EMPTY}, prompt=PROMPT)
    with pytest.raises(InvalidInputsError):
        rt.execute({}, prompt=PROMPT)


def test_it_can_be_cancelled_half_way(rt: InProcess) -> None:
    """A plain function stops at its next word about progress."""
    with pytest.raises(TaskCancelled):
        rt.execute({"data_url": URL}, prompt=PROMPT, cancel_at=0.5)


def test_its_own_reason_codes_are_published(rt: InProcess) -> None:
    """Whoever reads a verdict can look up what its numbers mean."""
    assert rt.capabilities()["reason_codes"] == {"1001": "FIGURES_DIFFER", "1002": "LINES_DIFFER"}


def test_the_function_can_be_called_without_any_executor() -> None:
    """What computes is plain Python: the executor only carries it."""
    assert offending_lines(read_sales(SALES), [5, 7]).count(TWICE.encode()) == 2
    assert Finding.model_json_schema()["required"][:2] == ["decision", "answer"]
