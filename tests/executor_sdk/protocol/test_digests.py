"""Digests against what the kernel and its reference runtime computed."""

from __future__ import annotations

from executor_sdk.protocol.digests import (
    candidate_hash,
    content_digest,
    evidence_ref,
    output_digest,
    verifier_result_hash,
    vote_commit_hash,
)
from tests.executor_sdk.protocol.recordings import recorded

_VECTORS = recorded("canonical_bytes.jsonl.gz")
_VERIFIED = [call for call in recorded("reference_calls.jsonl") if call["path"] == "/verify"]


def test_every_recorded_candidate_has_the_kernels_hash() -> None:
    """Fields in declared order, whatever order the candidate came in; the output is not hashed."""
    vectors = [vector for vector in _VECTORS if vector["case"]["kind"] == "candidate"]

    assert len(vectors) == 12
    for vector in vectors:
        assert candidate_hash(vector["case"]["candidate"]) == vector["expected"]["candidate_hash"]


def test_every_recorded_vote_has_the_kernels_commit_hash() -> None:
    """Approve or reject, a salt, the verifier result hash."""
    vectors = [vector for vector in _VECTORS if vector["case"]["kind"] == "commit"]

    assert len(vectors) == 6
    for vector in vectors:
        case = vector["case"]
        vote = "approve" if case["approve"] else "reject"
        assert vote_commit_hash(vote, case["salt"], case["result_hash"]) == vector["expected"]["vote_commit_hash"]


def test_the_reference_runtimes_verifier_result_hashes_are_ours() -> None:
    """Four verdicts of the documented run."""
    assert len(_VERIFIED) == 4
    for call in _VERIFIED:
        candidate, answer = call["request"]["candidate"], call["response"]
        hashed = verifier_result_hash(
            candidate_id=candidate["candidate_id"],
            execution_id=candidate["execution_id"],
            passed=answer["passed"],
            score=answer["score"],
            reason_codes=answer["reason_codes"],
            policy_hash=call["request"]["policy"]["policy_hash"],
            provider_family=answer["provider_family"],
            model_id=answer["model_id"],
        )
        assert hashed == answer["verifier_result_hash"]


def test_the_recorded_output_references_name_their_outputs() -> None:
    """Digest and size are those of the sorted compact bytes."""
    for call in _VERIFIED:
        candidate = call["request"]["candidate"]
        assert output_digest(candidate["output"]) == candidate["output_ref"]["digest"]


def test_an_evidence_reference_stands_in_field_order() -> None:
    """The order is hashed, so it is part of the wire."""
    ref = evidence_ref(b"a,b\n", uri="https://example.test/x", mime="text/csv", created_at=7, producer="p")

    assert list(ref) == ["uri", "digest", "size_bytes", "mime", "created_at", "producer"]
    assert (ref["digest"], ref["size_bytes"]) == (content_digest(b"a,b\n"), 4)
