"""The bodies a kernel sends: the sample task contract, `POST /execute` and `POST /verify`, built in field order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from executor_sdk.protocol.canonical import sorted_bytes, sorted_copy
from executor_sdk.protocol.digests import evidence_ref
from executor_sdk.protocol.plain import Json

#: Version a task contract carries; events have their own.
CONTRACT_VERSION: Final = "v0.1"

#: Bytes that one output, and one inline evidence, may have.
MAX_OUTPUT_BYTES: Final = 65_536
MAX_INLINE_EVIDENCE_BYTES: Final = 65_536

#: Inline evidence types that every contract allows.
INLINE_MIME_TYPES: Final = ("application/json", "text/plain", "text/markdown", "text/csv")

#: Hex SHA-256 of the specification of `vp.schema_only.v1`.
SCHEMA_ONLY_HASH: Final = "a52d250d216f425973eb5a13c392d4dbc172357181b683e86caa4a5c64db94a7"

#: A header of `POST /execute`. Its value `true` asks for new work, because what was done for earlier attempts at the
#: step was turned down.
NEW_WORK_HEADER: Final = "executor-new-work"

#: How long after its creation a run step's task expires, in milliseconds.
EXPIRY_AFTER_MS: Final = 120_000


def sample_contract(*, task_id: str, task_type: str, inputs: Json, expiry_ms: int) -> dict[str, Json]:
    """The contract that every run step gets; `expiry_ms` is an absolute epoch time in milliseconds."""
    return {
        "protocol_version": CONTRACT_VERSION,
        "task_id": task_id,
        "task_type": task_type,
        "inputs": sorted_copy(inputs),
        "output_schema": {
            "properties": {
                "answer": {"type": "string"},
                "check_summary": {"type": "string"},
                "confidence": {"type": "number"},
            },
            "required": ["answer"],
            "type": "object",
        },
        "budget": {
            "time_ms": 30_000,
            "max_steps": 10,
            "cost_units": 1_000,
            "mode": "LIFETIME",
            "explore_cost_units": 350,
            "verify_cost_units": 450,
            "finalize_cost_units": 200,
            "reuse_verify_time_ms": 20_000,
            "reuse_verify_cost_units": 200,
            "reuse_max_attempts": 1,
        },
        "assignment": {
            "mode": "CLAIM",
            "claim": {"lease_ms": 5_000, "max_concurrency": {"propose": 1, "verify": 1}},
            "explore": {"max_proposers": 1, "topk": 3, "stop": {"no_new_evidence_rounds": 3}},
            "verify": {"max_verifiers": 1},
            "finalize": {"max_finalizers": 1},
        },
        "acceptance": {
            "quorum_threshold": 1,
            "verifier_policy": {
                "policy_id": "vp.schema_only.v1",
                "policy_version": "1",
                "policy_hash": SCHEMA_ONLY_HASH,
                "policy_params": {},
            },
            "vote": {"commit_reveal": True, "reveal_deadline_ms": 10_000},
            "settlement": {
                "window_ms": 86_400_000,
                "implicit_weight": 0.1,
                "implicit_diminishing_returns": {"W": 10, "K": 50},
                "bad_penalty": {"P": 3},
                "feedback": {"mode": "CAPABILITY", "authority_pubkey": "ed25519:placeholder"},
            },
            "da_quorum_threshold": 1,
        },
        "task_mode": "ONE_SHOT",
        "expiry_ms": expiry_ms,
        "evidence_policy": {
            "max_inline_evidence_bytes": MAX_INLINE_EVIDENCE_BYTES,
            "max_inline_media_bytes": 0,
            "inline_mime_allowlist": list(INLINE_MIME_TYPES),
            "max_snippet_bytes": 8_192,
            "max_snippet_tokens": 2_048,
        },
    }


def execute_request(
    contract: Mapping[str, Json],
    *,
    execution_id: str,
    profile: str = "default",
    stage: str = "EXPLORE",
    seed_bundle: Json = None,
) -> dict[str, Json]:
    """The body of `POST /execute` for one attempt at the task of `contract`."""
    return {
        "task_id": contract["task_id"],
        "execution_id": execution_id,
        "task_type": contract["task_type"],
        "inputs": contract["inputs"],
        "profile": profile,
        "task_contract": dict(contract),
        "stage": stage,
        "attempt_id": execution_id,
        "seed_bundle": seed_bundle,
    }


def output_ref(output: Json, *, producer: str, created_at: int) -> dict[str, Json]:
    """The reference under which a kernel keeps `output`: its sorted bytes; `created_at` in epoch milliseconds."""
    data = sorted_bytes(output)
    ref = evidence_ref(data, uri="", mime="application/json", created_at=created_at, producer=producer)
    return ref | {"uri": f"artifact://reference/{ref['digest']}"}


def propose(answer: Mapping[str, Json], *, execution_id: str, producer: str, created_at: int) -> dict[str, Json]:
    """The candidate that a kernel makes of an answer to `POST /execute`."""
    output = answer["candidate_output"]
    return candidate(
        execution_id=execution_id,
        output=output,
        output_ref=output_ref(output, producer=producer, created_at=created_at),
        evidence_inline=answer["evidence_inline"],
        evidence_refs=answer["evidence_refs"],
    )


def candidate(
    *,
    execution_id: str,
    output: Json,
    output_ref: Mapping[str, Json],
    evidence_inline: Sequence[Mapping[str, Json]] = (),
    evidence_refs: Sequence[Mapping[str, Json]] = (),
) -> dict[str, Json]:
    """A candidate of these parts, in field order."""
    return {
        "candidate_id": f"cand-{execution_id}",
        "execution_id": execution_id,
        "output_ref": dict(output_ref),
        "output": output,
        "evidence_inline": [dict(item) for item in evidence_inline],
        "evidence_refs": [dict(item) for item in evidence_refs],
    }


def verify_request(
    candidate: Mapping[str, Json], *, output_schema: Json, policy: Mapping[str, Json]
) -> dict[str, Json]:
    """The body of `POST /verify` for one candidate."""
    return {"candidate": dict(candidate), "output_schema": output_schema, "policy": dict(policy)}
