"""The built-in policies: the kernel's evaluations, and our judgement on top."""

from __future__ import annotations

import pytest

from executor_sdk.errors import UnknownPolicyError
from executor_sdk.policies.builtin import POLICIES, bind, evaluate
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import PolicyBinding
from tests.executor_sdk.protocol.recordings import recorded

_SPECIFICATIONS = recorded("policy_specifications.jsonl")


def _binding(policy_id: str, **changes: str) -> PolicyBinding:
    policy = POLICIES.get(policy_id)
    facts = {"policy_id": policy_id, "policy_version": "1", "policy_hash": policy.policy_hash if policy else "0" * 64}
    return PolicyBinding(**{**facts, **changes})


def test_all_recorded_evaluations_come_out_as_the_kernels() -> None:
    """896 of odd schemas, outputs and parameters: passed, score, codes and policy hash."""
    vectors = recorded("policy_evaluations.jsonl.gz")
    assert len(vectors) == 896
    for vector in vectors:
        case = vector["case"]
        found = evaluate(case["policy_id"], schema=case["schema"], output=case["output"], params=case["params"])
        assert vector["expected"] == {
            "passed": found.passed,
            "score": found.score,
            "reason_codes": list(found.reason_codes),
            "policy_hash": POLICIES[case["policy_id"]].policy_hash,
        }


def test_our_passed_is_always_the_kernels_passed_too() -> None:
    """Over the same 896: we may fail what it passes, never the other way round."""
    stricter = 0
    for vector in recorded("policy_evaluations.jsonl.gz"):
        case = vector["case"]
        ours = POLICIES[case["policy_id"]].judge(case["schema"], case["output"], case["params"])
        assert vector["expected"]["passed"] or not ours.passed
        assert ours.passed is (ours.reason_codes == (100,))
        stricter += vector["expected"]["passed"] and not ours.passed

    assert stricter > 50


@pytest.mark.parametrize("recorded_policy", _SPECIFICATIONS, ids=lambda policy: policy["policy_id"])
def test_a_policys_hash_is_that_of_its_specification(recorded_policy: Json) -> None:
    """Byte for byte as the kernel writes it."""
    policy = POLICIES[recorded_policy["policy_id"]]

    assert policy.specification().decode() == recorded_policy["spec"]
    assert policy.policy_hash == recorded_policy["policy_hash"]


def test_every_policy_binds_by_id_version_and_hash() -> None:
    """The right binding brings the policy."""
    assert [bind(_binding(policy_id)).policy_id for policy_id in POLICIES] == list(POLICIES)


@pytest.mark.parametrize(
    "binding",
    [
        _binding("vp.none.v1"),
        _binding("vp.schema_only.v1", policy_version="2"),
        _binding("vp.schema_only.v1", policy_hash="0" * 64),
    ],
    ids=["id", "version", "hash"],
)
def test_another_binding_is_refused_as_a_bad_request(binding: PolicyBinding) -> None:
    """400, with the words that the reference runtime uses, then what would be right."""
    with pytest.raises(UnknownPolicyError, match=r"^policy binding invalid: ") as refused:
        bind(binding)

    assert (refused.value.status_code, refused.value.retryable) == (400, False)


def test_an_output_that_only_the_kernel_would_pass_fails_with_101() -> None:
    """The minimal check does not see a minimum; the whole schema does."""
    schema = {"type": "object", "properties": {"share": {"type": "number", "minimum": 0}}}

    judged = POLICIES["vp.schema_only.v1"].judge(schema, {"share": -1}, {})

    assert evaluate("vp.schema_only.v1", schema=schema, output={"share": -1}, params={}).passed
    assert (judged.passed, judged.score, judged.reason_codes) == (False, 0.0, (101,))
    assert judged.remarks == ("$.share: -1 is less than the minimum of 0",)


def test_a_fraction_of_zero_is_no_integer_for_the_kernel_and_so_not_for_us() -> None:
    """JSON Schema takes 3.0 for an integer; a `passed` must satisfy both."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}

    assert POLICIES["vp.schema_only.v1"].judge(schema, {"n": 3}, {}).passed
    assert POLICIES["vp.schema_only.v1"].judge(schema, {"n": 3.0}, {}).reason_codes == (101,)


def test_a_schema_that_cannot_be_checked_gets_a_verdict_not_an_error() -> None:
    """Failed, with a remark that says why: passing would vouch for what was not looked at."""
    judged = POLICIES["vp.crosscheck.v1"].judge({"$ref": "http://x/y"}, {"check_summary": "ok"}, None)

    assert (judged.passed, judged.score, judged.reason_codes) == (False, 0.3, (101,))
    assert "refers outside the schema" in judged.remarks[0]
