"""The built-in policies: the kernel's evaluations, and our judgement on top."""

from __future__ import annotations

import pytest

from executor_sdk.errors import UnknownPolicyError
from executor_sdk.policies.builtin import POLICIES, Evaluation, bind, evaluate
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import PolicyBinding
from tests.executor_sdk.protocol.recordings import recorded

_SPECIFICATIONS = recorded("policy_specifications.jsonl")


def _binding(policy_id: str, **changes: str) -> PolicyBinding:
    policy = POLICIES.get(policy_id)
    facts = {"policy_id": policy_id, "policy_version": "1", "policy_hash": policy.policy_hash if policy else "0" * 64}
    return PolicyBinding(**{**facts, **changes})


def judge(policy_id: str, schema: Json, output: Json, params: Json) -> Evaluation:
    """The judgement of one policy on values in plain JSON."""
    return POLICIES[policy_id].judge(declared_bytes(schema), declared_bytes(output), params)


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
        ours = judge(case["policy_id"], case["schema"], case["output"], case["params"])
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

    judged = judge("vp.schema_only.v1", schema, {"share": -1}, {})

    assert evaluate("vp.schema_only.v1", schema=schema, output={"share": -1}, params={}).passed
    assert (judged.passed, judged.score, judged.reason_codes) == (False, 0.0, (101,))
    assert judged.remarks == ("$.share: -1 is less than the minimum of 0",)


def test_a_fraction_of_zero_is_no_integer_for_the_kernel_and_so_not_for_us() -> None:
    """JSON Schema takes 3.0 for an integer; a `passed` must satisfy both."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}

    assert judge("vp.schema_only.v1", schema, {"n": 3}, {}).passed
    assert judge("vp.schema_only.v1", schema, {"n": 3.0}, {}).reason_codes == (101,)


def test_a_schema_that_cannot_be_checked_gets_a_verdict_not_an_error() -> None:
    """Failed, with a remark that says why: passing would vouch for what was not looked at."""
    judged = judge("vp.crosscheck.v1", {"$ref": "http://x/y"}, {"check_summary": "ok"}, None)

    assert (judged.passed, judged.score, judged.reason_codes) == (False, 0.3, (101,))
    assert "refers outside the schema" in judged.remarks[0]


@pytest.mark.parametrize(
    ("policy_id", "params", "remark"),
    [
        ("vp.schema_thresholds.v1", {"min_confidence": 0.5}, "$.confidence is below min_confidence, or missing"),
        ("vp.schema_thresholds.v1", {"max_len": 1}, "$ has more bytes than max_len"),
        ("vp.crosscheck.v1", {}, "$.check_summary is missing or blank"),
    ],
)
def test_what_a_policy_asks_beyond_the_schema_is_told_too(policy_id: str, params: Json, remark: str) -> None:
    """A failed verdict never leaves its author to guess."""
    judged = judge(policy_id, {"type": "object"}, {"answer": "x"}, params)

    assert (judged.passed, judged.remarks) == (False, (remark,))


@pytest.mark.parametrize(
    ("output", "remark"),
    [
        (b'"' + b"x" * 65_535 + b'"', "the output has 65537 bytes; an output has at most 65536"),
        (b"[" * 65 + b"]" * 65, "the output is not JSON, or nested deeper than 64 levels"),
        (b"[1", "the output is not JSON, or unexpected end of data"),
    ],
    ids=["bytes", "levels", "text"],
)
def test_an_output_that_no_kernel_proposes_fails_without_a_look(output: bytes, remark: str) -> None:
    """The largest that is proposed has 65,536 bytes."""
    judged = POLICIES["vp.schema_only.v1"].judge(b"{}", output, {})

    assert (judged.passed, judged.reason_codes) == (False, (101,))
    assert judged.remarks[0].startswith(remark)
