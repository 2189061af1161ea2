"""An author's verifier may lower the policy's verdict, and says why."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from executor_sdk import (
    Candidate,
    Executor,
    FetchError,
    HandlerCrashedError,
    ReasonCode,
    Task,
    TaskTimeoutError,
    Verdict,
    in_process,
)
from executor_sdk.testing.process import Judged


class Finding(BaseModel):
    """An output."""

    answer: str
    size: int = 0


class Why(IntEnum):
    """The author's own codes; the first is none."""

    NOTHING = 0
    TOO_SMALL = 1001
    ODD = 1002


def judged_by(function: Any, output: Any = None, **options: Any) -> Judged:
    """What an executor with this verifier says of an output."""
    executor = Executor("acme", "m-1", **options)

    @executor.execute(needs_answer=False)
    def produce() -> dict[str, Any]:
        return {"answer": "x"}

    executor.verify(function)
    with in_process(executor) as rt:
        return rt.verify(rt.execute({}), output=output)


def says(verdict: Verdict) -> Any:
    """A verifier that always says the same."""

    def verifier(candidate: Candidate[Finding]) -> Verdict:
        return verdict

    return verifier


@pytest.mark.parametrize(
    ("verdict", "status", "codes"),
    [
        (Verdict.passed(), "passed", [100]),
        (Verdict.failed(Why.TOO_SMALL, "2 is less than 3"), "failed", [1001]),
        (Verdict.failed([Why.TOO_SMALL, Why.ODD], "both"), "failed", [1001, 1002]),
        (Verdict.inconclusive(ReasonCode.EVIDENCE_TIMEOUT), "inconclusive", [201]),
    ],
)
def test_the_three_verdicts(verdict: Verdict, status: str, codes: list[int]) -> None:
    """Plain functions and coroutines alike."""
    judged = judged_by(says(verdict))

    assert (judged.status, judged.reason_codes) == (status, codes)
    assert judged.message == verdict.message


def test_the_output_is_the_authors_type() -> None:
    """As named in Candidate[Finding]."""

    async def verifier(candidate: Candidate[Finding]) -> Verdict:
        assert candidate.candidate_id == f"cand-{candidate.execution_id}"
        assert candidate.plain_output == {"answer": "x", "size": 3}
        assert candidate.evidence_inline == []
        return Verdict.passed() if candidate.output.size == 3 else Verdict.failed(Why.ODD)

    assert judged_by(verifier, {"answer": "x", "size": 3}).status == "passed"


def test_a_bare_candidate_has_the_plain_output() -> None:
    """Where nothing is named, nothing is read."""

    def verifier(candidate: Candidate) -> Verdict:  # type: ignore[type-arg]
        return Verdict.passed() if candidate.output == {"answer": "x"} else Verdict.failed(Why.ODD)

    assert judged_by(verifier).status == "passed"


def test_an_output_of_another_type_fails_unseen() -> None:
    """101: the schema that matters here is the author's own."""
    judged = judged_by(says(Verdict.passed()), {"answer": "x", "size": "large"})

    assert (judged.status, judged.reason_codes) == ("failed", [101])


@pytest.mark.parametrize(("reason", "status"), [(200, "inconclusive"), (202, "inconclusive"), (203, "failed")])
def test_a_fetch_error_becomes_the_verdict(reason: int, status: str) -> None:
    """By itself: the author writes no `except`."""

    async def verifier(candidate: Candidate[Finding]) -> Verdict:
        raise FetchError(ReasonCode(reason), "gone")

    judged = judged_by(verifier)

    assert (judged.status, judged.reason_codes) == (status, [reason])


def test_a_verifier_that_fails_gives_no_verdict() -> None:
    """The kernel makes an inconclusive one of it."""

    def crashes(candidate: Candidate[Finding]) -> Verdict:
        raise ZeroDivisionError

    def forgets(candidate: Candidate[Finding]) -> Verdict:
        return True  # type: ignore[return-value]

    async def sleeps(candidate: Candidate[Finding]) -> Verdict:
        await anyio.sleep_forever()
        return Verdict.passed()

    with pytest.raises(HandlerCrashedError, match="crashes raised ZeroDivisionError"):
        judged_by(crashes)
    with pytest.raises(HandlerCrashedError, match=r"forgets returned a bool: return Verdict\.passed\(\)"):
        judged_by(forgets)
    with pytest.raises(TaskTimeoutError, match="sleeps did not finish"):
        judged_by(sleeps, verify_timeout_s=0.05)


def test_verdicts_that_make_no_sense_cannot_be_made() -> None:
    """Where they are made, not on the wire."""
    with pytest.raises(ValueError, match="wants one of EVIDENCE_UNREACHABLE"):
        Verdict.inconclusive(ReasonCode.SCHEMA_INVALID)
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        Verdict.passed(score=1.5)
    for codes in ((), (1001,), (203,)):
        with pytest.raises(ValueError, match="wants one of EVIDENCE_UNREACHABLE"):
            Verdict("inconclusive", codes)
    with pytest.raises(ValueError, match="there is no verdict 'maybe'"):
        Verdict("maybe")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is a sentence, not an int"):
        Verdict.failed(1001, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 64 reason codes, not 65"):
        Verdict.failed(list(range(1000, 1065)))
    with pytest.raises(ValueError, match="wants a reason code"):
        Verdict.failed(())
    with pytest.raises(ValueError, match="does not fit 16 bits"):
        Verdict.failed(70_000)


def test_both_kinds_of_verifiers_fetch() -> None:
    """At a URI and by reference; a plain function asks from its thread."""

    def plain(candidate: Candidate[Finding]) -> Verdict:
        fetched = [candidate.fetch_sync("u"), candidate.fetch_sync(candidate.evidence_refs[0])]
        return Verdict.passed() if fetched == [b"rows", b"kept"] else Verdict.failed(Why.ODD)

    async def asynchronous(candidate: Candidate[Finding]) -> Verdict:
        fetched = [await candidate.fetch("u"), await candidate.fetch(candidate.evidence_refs[0])]
        return Verdict.passed() if fetched == [b"rows", b"kept"] else Verdict.failed(Why.ODD)

    def too_much(candidate: Candidate[Finding]) -> Verdict:
        candidate.fetch_sync("u", max_bytes=3)
        return Verdict.passed()

    judged = []
    for verifier in (plain, asynchronous, too_much):
        executor = Executor("acme", "m-1")

        @executor.execute
        def produce(task: Task) -> Finding:
            task.artifact(b"kept", "text/csv")
            return Finding(answer="x")

        executor.verify(verifier)
        with in_process(executor, files={"u": b"rows"}) as rt:
            judged.append(rt.verify(rt.execute({})).status)

    assert judged == ["passed", "passed", "inconclusive"]


def test_own_codes_are_found_in_what_the_verifier_names() -> None:
    """In its body, in functions inside it, and in its closure; protocol codes are none of them."""

    class Local(IntEnum):
        FAR = 2000

    executor = Executor("acme", "m-1")

    @executor.verify
    def verifier(candidate: Candidate[Finding]) -> Verdict:
        def inner() -> Verdict:
            return Verdict.failed(Why.ODD)

        return inner() if candidate.output.size else Verdict.failed(Local.FAR + ReasonCode.UNKNOWN)

    assert executor.registry.capabilities(executor.settings)["reason_codes"] == {
        "1001": "TOO_SMALL",
        "1002": "ODD",
        "2000": "FAR",
    }
