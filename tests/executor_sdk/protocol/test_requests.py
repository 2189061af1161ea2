"""The bodies that a kernel sends, against those that one sent."""

from __future__ import annotations

from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import candidate, execute_request, propose, sample_contract, verify_request
from tests.executor_sdk.protocol.recordings import recorded

_CALLS = recorded("reference_calls.jsonl")


def _requests(path: str) -> list[Json]:
    return [call["request"] for call in _CALLS if call["path"] == path]


def test_an_execute_body_is_built_byte_for_byte_as_recorded() -> None:
    """Contract and request in field order, inputs sorted; six recorded bodies, three with a knowledge seed."""
    assert len(_requests("/execute")) == 6
    for sent in _requests("/execute"):
        contract = sample_contract(
            task_id=sent["task_id"],
            task_type=sent["task_type"],
            inputs=dict(reversed(sent["inputs"].items())),
            expiry_ms=sent["task_contract"]["expiry_ms"],
        )
        built = execute_request(
            contract, execution_id=sent["execution_id"], stage=sent["stage"], seed_bundle=sent["seed_bundle"]
        )
        assert declared_bytes(built) == declared_bytes(sent)


def test_a_verify_body_is_built_byte_for_byte_as_recorded() -> None:
    """Candidate, schema and policy binding in field order."""
    for sent in _requests("/verify"):
        proposed = sent["candidate"]
        built = verify_request(
            candidate(
                execution_id=proposed["execution_id"],
                output=proposed["output"],
                output_ref=proposed["output_ref"],
                evidence_inline=proposed["evidence_inline"],
                evidence_refs=proposed["evidence_refs"],
            ),
            output_schema=sent["output_schema"],
            policy=sent["policy"],
        )
        assert declared_bytes(built) == declared_bytes(sent)


def test_a_candidate_is_made_of_an_answer_as_a_kernel_makes_it() -> None:
    """Byte for byte as recorded, its output's reference included."""
    for sent in _requests("/verify"):
        recorded_candidate = sent["candidate"]
        ref = recorded_candidate["output_ref"]
        answer = {
            "candidate_output": recorded_candidate["output"],
            "evidence_inline": recorded_candidate["evidence_inline"],
            "evidence_refs": recorded_candidate["evidence_refs"],
        }

        made = propose(
            answer,
            execution_id=recorded_candidate["execution_id"],
            producer=ref["producer"],
            created_at=ref["created_at"],
        )

        assert declared_bytes(made) == declared_bytes(recorded_candidate)
