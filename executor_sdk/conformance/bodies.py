"""The bodies that the suite sends: what a kernel sends, and the same with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from executor_sdk.asking.samples import Sample
from executor_sdk.client.asks import execute_body
from executor_sdk.protocol.plain import Json

SCHEMA_ONLY: Final = "vp.schema_only.v1"
THRESHOLDS: Final = "vp.schema_thresholds.v1"
CROSSCHECK: Final = "vp.crosscheck.v1"

#: Hash of the specification of each built-in policy, stated here and not taken from the kit.
POLICY_HASHES: Final[Mapping[str, str]] = {
    SCHEMA_ONLY: "a52d250d216f425973eb5a13c392d4dbc172357181b683e86caa4a5c64db94a7",
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


def ask(sample: Sample, **changes: Json) -> dict[str, Json]:
    """A fresh `/execute` body for the sample; `changes` to its fields."""
    task_type = str(changes.pop("task_type", sample.task_type))
    body = execute_body(changes.pop("inputs", sample.inputs), task_type=task_type, profile=sample.profile)
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


def binding(policy_id: str, params: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """A binding to a built-in policy."""
    return {
        "policy_id": policy_id,
        "policy_version": "1",
        "policy_hash": POLICY_HASHES[policy_id],
        "policy_params": dict(params or {}),
    }
