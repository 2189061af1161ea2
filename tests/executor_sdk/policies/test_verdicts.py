"""Verify answers: the kernel's rules, and that ours keep them."""

from __future__ import annotations

import pytest

from executor_sdk.policies.builtin import POLICIES, Evaluation
from executor_sdk.policies.verdicts import MAX_MESSAGE, Judgement, by_policy, lowered, verdict_answer, verdict_breaches
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import PolicyBinding, view
from tests.executor_sdk.protocol.recordings import recorded

_RECORDED = recorded("verdicts.jsonl")
_VERIFIED = [call for call in recorded("reference_calls.jsonl") if call["path"] == "/verify"]
_POLICY = POLICIES["vp.schema_only.v1"]
_BINDING = PolicyBinding(policy_id=_POLICY.policy_id, policy_version="1", policy_hash=_POLICY.policy_hash)


def make_verdict(**changes: Json) -> dict[str, Json]:
    """A verdict that a kernel accepts for an object, with fields changed."""
    verdict = verdict_answer(
        status="passed",
        score=1.0,
        reason_codes=[100],
        candidate_id="cand-e",
        execution_id="e",
        policy_hash=_POLICY.policy_hash,
        provider_family="f",
        model_id="m",
    )
    return {**verdict, **changes}


def _breaches(verdict: Json, *, output: Json = None, binding: PolicyBinding = _BINDING) -> list[str]:
    return verdict_breaches(verdict, binding=binding, output_schema={"type": "object"}, output=output or {})


@pytest.mark.parametrize("case", _RECORDED, ids=range(len(_RECORDED)))
def test_a_recorded_verdict_is_accepted_or_refused_with_the_kernels_sentence(case: Json) -> None:
    """A verdict that lowers is accepted as a verdict, although it ends the candidate."""
    found = verdict_breaches(
        case["response"],
        binding=view(case["request"]["policy"], PolicyBinding),
        output_schema=case["request"]["output_schema"],
        output=case["request"]["candidate"]["output"],
    )

    sentence = case["error"]
    refused = sentence is not None and sentence.startswith("invalid event: ")
    assert found == ([sentence.removeprefix("invalid event: ")] if refused else [])


@pytest.mark.parametrize("call", _VERIFIED, ids=range(len(_VERIFIED)))
def test_our_answer_is_the_reference_runtimes_to_the_last_key(call: Json) -> None:
    """Judged by us, hashed by us, key order included."""
    request, answer = call["request"], call["response"]
    policy = request["policy"]
    evaluation = POLICIES[policy["policy_id"]].judge(
        declared_bytes(request["output_schema"]),
        declared_bytes(request["candidate"]["output"]),
        policy["policy_params"],
    )

    ours = verdict_answer(
        status="passed" if evaluation.passed else "failed",
        score=evaluation.score,
        reason_codes=evaluation.reason_codes,
        candidate_id=request["candidate"]["candidate_id"],
        execution_id=request["candidate"]["execution_id"],
        policy_hash=policy["policy_hash"],
        provider_family=answer["provider_family"],
        model_id=answer["model_id"],
    )

    assert ours == answer


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, None),
        ({"reason_codes": [777, 1001, 999, 0]}, None),
        ({"passed": False, "verification_status": "failed", "reason_codes": [203]}, None),
        ({"passed": False, "verification_status": None, "reason_codes": [201]}, None),
        ({"reason_codes": []}, "reason_codes cannot be empty"),
        ({"reason_codes": [104]}, "unknown reason code: 104"),
        ({"reason_codes": [100, 65_536]}, "reason code out of range: 65536"),
        ({"reason_codes": [-1]}, "reason code out of range: -1"),
        ({"score": 1.01}, "verify score must be 0..1"),
        ({"score": -0.1}, "verify score must be 0..1"),
        ({"model_id": " "}, "provider_family/model_id required"),
        ({"passed": False}, "verification_status passed requires passed=true"),
        ({"verification_status": "failed"}, "verification_status failed requires passed=false"),
        ({"verifier_result_hash": "x" * 70_000}, "verifier result exceeds limit"),
        ({"verification_status": "maybe"}, "verify answer does not decode: "),
        ({"score": "1"}, "verify answer does not decode: "),
    ],
    ids=range(16),
)
def test_each_rule_has_its_sentence(change: dict[str, Json], sentence: str | None) -> None:
    """One rule broken at a time."""
    found = _breaches(make_verdict(**change))

    assert len(found) == (sentence is not None)
    assert found == [] or found[0].startswith(sentence or "")


def test_a_passed_that_the_kernel_does_not_share_is_a_mismatch() -> None:
    """It evaluates the policy itself."""
    assert _breaches(make_verdict(), output=[1]) == ["verifier passed flag mismatch"]


def test_an_unknown_policy_is_a_breach_of_the_verdict() -> None:
    """Nothing can be compared with it."""
    unknown = PolicyBinding(policy_id="vp.none.v1", policy_version="1", policy_hash="0")

    assert _breaches(make_verdict(), binding=unknown)[0].startswith("policy binding invalid: ")


@pytest.mark.parametrize("answer", [None, [], "x", {}])
def test_what_is_no_verdict_at_all_is_one_breach(answer: Json) -> None:
    """An executor may answer anything."""
    assert len(_breaches(answer)) == 1


def test_a_failed_judgement_says_which_field_did_not_fit() -> None:
    """The remarks of the policy become the message of the verdict, bounded."""
    schema = b'{"type":"object","properties":{"share":{"type":"number"}}}'

    judged = by_policy(_POLICY.judge(schema, b'{"share":"half"}', {}))
    passed = by_policy(_POLICY.judge(schema, b'{"share":0.5}', {}))
    long = by_policy(Evaluation(passed=False, score=0.0, reason_codes=(101,), remarks=("x" * 300,) * 50))

    assert judged == Judgement("failed", 0.0, (101,), '$.share: "half" is not of type "number"')
    assert passed == Judgement("passed", 1.0, (100,), "")
    assert len(long.message) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        (Judgement("passed", 1.0, ()), Judgement("passed", 0.9, (100,))),
        (Judgement("passed", 0.5, (), "well"), Judgement("passed", 0.5, (100,), "well")),
        (Judgement("failed", 0.1, (1001, 102), "no"), Judgement("failed", 0.1, (1001,), "no")),
        (Judgement("failed", 0.0, (102,)), Judgement("failed", 0.0, (999,))),
        (Judgement("failed", 0.0, ()), Judgement("failed", 0.0, (999,))),
        (Judgement("inconclusive", 0.0, (201,), "x" * 9_000), Judgement("inconclusive", 0.0, (201,), "x" * 2_000)),
    ],
)
def test_an_author_may_lower_what_the_policy_passed(author: Judgement, expected: Judgement) -> None:
    """Score and codes stay within what kernels accept of the policy."""
    evaluation = Evaluation(passed=True, score=0.9, reason_codes=(100,))

    assert lowered(evaluation, author, POLICIES["vp.crosscheck.v1"]) == expected


def test_an_author_cannot_raise_what_the_policy_failed() -> None:
    """The policy's own judgement stands, with its remarks."""
    evaluation = Evaluation(passed=False, score=0.2, reason_codes=(101,), remarks=("$: no",))

    assert lowered(evaluation, Judgement("passed", 1.0, ()), _POLICY) == by_policy(evaluation)
