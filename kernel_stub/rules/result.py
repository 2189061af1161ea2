"""What a step keeps of its attempt once its candidate is final."""

from __future__ import annotations

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.records import Step


def step_result(step: Step, candidate: dict[str, Json]) -> dict[str, Json]:
    """The stored result; `candidate` holds, beside its own fields, the family and model that proposed it."""
    output = candidate["output"]
    return {
        "task_id": step.task_id,
        "candidate_id": candidate["candidate_id"],
        "executor": step.executor,
        "profile": step.profile,
        "provider_family": candidate["provider_family"],
        "model_id": candidate["model_id"],
        "candidate_output": output,
        "evidence_digests": [ref["digest"] for ref in candidate["evidence_refs"]],
        "final_decision": _text(output, "decision"),
        "final_answer": _text(output, "answer"),
        "terminal_state": "Finalized",
        "committed_candidate_id": candidate["candidate_id"],
        "finalized_candidate_id": candidate["candidate_id"],
    }


def _text(output: Json, key: str) -> str | None:
    value = output.get(key) if isinstance(output, dict) else None
    return value if isinstance(value, str) else None
