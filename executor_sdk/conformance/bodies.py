"""The bodies that the suite sends: what a kernel sends, and the same with one thing changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from executor_sdk.conformance.samples import Sample
from executor_sdk.protocol import requests
from executor_sdk.protocol.plain import Json

SCHEMA_ONLY: Final = "vp.schema_only.v1"
THRESHOLDS: Final = "vp.schema_thresholds.v1"
CROSSCHECK: Final = "vp.crosscheck.v1"

#: Hash of the specification of each built-in policy.
POLICY_HASHES: Final[Mapping[str, str]] = {
    SCHEMA_ONLY: requests.SCHEMA_ONLY_HASH,
    THRESHOLDS: "052312b5f56ed81a7c6f693d5d24fde5dc42825ecc61c6f77bccf07c444c4edf",
    CROSSCHECK: "236ef6d386d272715034acda035ae212c85a87dd6a09958e781c5d0b6880846d",
}

#: What the kernel adds to a step's inputs in a re-explore round.
KERNEL_INPUTS: Final[Mapping[str, Json]] = {
    "agent_id": "analyst-a",
    "prompt": "Focus on geographic trends in the revenue data.",
    "swarm_scope": "global",
    "swarm_route": {"mode": "LOCAL"},
    "_aggregation_signal": {
        "iteration": 1,
        "null_primary_kind": "EMPTY",
        "null_reason": "NO_VALID_DECISION",
        "path": "NULL_PATH",
        "require_new_evidence": True,
        "type": "NEED_DECISION",
        "unresolved_buckets": ["decision", "answer"],
    },
    "_run_queue_coordination": {"round": 1},
}


@dataclass(frozen=True)
class Done:
    """An execution that was answered 200: what was asked, and the answer."""

    request: dict[str, Json]
    answer: dict[str, Json]


def ask(sample: Sample, **changes: Json) -> dict[str, Json]:
    """A fresh `/execute` body for the sample: a run and an execution id that never were; `changes` to its fields."""
    agent_id = sample.inputs.get("agent_id", "agent") if isinstance(sample.inputs, dict) else "agent"
    contract = requests.sample_contract(
        task_id=f"run-conformance-{uuid4().hex[:12]}-{agent_id}-1",
        task_type=str(changes.pop("task_type", sample.task_type)),
        inputs=changes.pop("inputs", sample.inputs),
        expiry_ms=time.time_ns() // 1_000_000 + requests.EXPIRY_AFTER_MS,
    )
    body = requests.execute_request(contract, execution_id=f"exec-p-{uuid4()}", profile=sample.profile)
    return body | changes


def with_strangers(body: dict[str, Json]) -> dict[str, Json]:
    """The same request with keys that no kernel of today sends, beside its own at every level but the inputs."""
    contract = body["task_contract"]
    stranger = {"x_conformance_unknown": {"nested": [1, "two", None]}}
    return body | stranger | {"task_contract": contract | stranger | {"budget": contract["budget"] | stranger}}


def seed_bundle(sample: Sample, output: Json) -> dict[str, Json]:
    """A knowledge seed with one exact hit, as the kernel attaches it."""
    hit = {
        "hit_type": "Exact",
        "decision_ref": {"task_id": "run-conformance-earlier-1", "epoch": 1, "final_commit_hash": "0" * 64},
        "reuse_payload": output,
        "evidence_digests": [],
        "reason_codes_summary": {"reason_codes": [100]},
        "confidence_hint": 0.5,
    }
    constraints = {
        "must_consider_claims": ["policy:vp.schema_only.v1:1", f"task_type:{sample.task_type}"],
        "must_avoid_blacklist_candidate_hashes": [],
    }
    return {"seed_type": "SIMILAR_HITS_V1", "hits": [hit], "constraints": constraints}


def verify_body(
    done: Done, *, output: Json = ..., policy: Mapping[str, Json] | None = None, execution_id: str = ""
) -> dict[str, Json]:
    """The `/verify` body for what was done, or for another `output` in its place."""
    judged = done.answer["candidate_output"] if output is ... else output
    candidate = requests.candidate(
        execution_id=execution_id or done.request["execution_id"],
        output=judged,
        output_ref=requests.output_ref(judged, producer="conformance", created_at=time.time_ns() // 1_000_000),
        evidence_inline=done.answer.get("evidence_inline") or (),
        evidence_refs=done.answer.get("evidence_refs") or (),
    )
    schema = done.request["task_contract"]["output_schema"]
    return requests.verify_request(candidate, output_schema=schema, policy=policy or binding(SCHEMA_ONLY))


def binding(policy_id: str, params: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """A binding to a built-in policy."""
    return {
        "policy_id": policy_id,
        "policy_version": "1",
        "policy_hash": POLICY_HASHES[policy_id],
        "policy_params": dict(params or {}),
    }
