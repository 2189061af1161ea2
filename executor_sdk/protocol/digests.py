"""Digests: what is hashed, over which bytes, and how the result is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from executor_sdk.protocol.canonical import declared_bytes, sorted_bytes
from executor_sdk.protocol.plain import Json

_REF_FIELDS = ("uri", "digest", "size_bytes", "mime", "created_at", "producer")


def hex_digest(data: bytes) -> str:
    """64 lower-case hex digits of SHA-256."""
    return sha256(data).hexdigest()


def content_digest(data: bytes) -> str:
    """`sha256:` and 64 hex digits: how artifacts, evidence and outputs are named."""
    return f"sha256:{hex_digest(data)}"


def output_digest(output: Json) -> str:
    """The content digest of an output's sorted compact JSON."""
    return content_digest(sorted_bytes(output))


def evidence_ref(data: bytes, *, uri: str, mime: str, created_at: int, producer: str) -> dict[str, Json]:
    """An evidence reference to `data` in field order; `created_at` in epoch milliseconds."""
    return {
        "uri": uri,
        "digest": content_digest(data),
        "size_bytes": len(data),
        "mime": mime,
        "created_at": created_at,
        "producer": producer,
    }


def candidate_hash(candidate: Mapping[str, Json]) -> str:
    """Hex SHA-256 of a candidate in field order. Its output is not in it: `output_ref.digest` stands for it."""
    return hex_digest(
        declared_bytes(
            {
                "candidate_id": candidate["candidate_id"],
                "execution_id": candidate["execution_id"],
                "output_ref": _ref(candidate["output_ref"]),
                "evidence_inline": [
                    {"mime": item["mime"], "content": item["content"]} for item in candidate["evidence_inline"]
                ],
                "evidence_refs": [_ref(item) for item in candidate["evidence_refs"]],
            }
        )
    )


def vote_commit_hash(vote: str, salt: str, verifier_result_hash: str) -> str:
    """Hex SHA-256 that commits to `vote` ("approve" or "reject") before it is revealed with its `salt`."""
    return hex_digest(f"{vote}|{salt}|{verifier_result_hash}".encode())


def verifier_result_hash(
    *,
    candidate_id: str,
    execution_id: str,
    passed: bool,
    score: float,
    reason_codes: Sequence[int],
    policy_hash: str,
    provider_family: str,
    model_id: str,
) -> str:
    """Hex SHA-256 of a verdict's sorted JSON, by the rule of the reference runtime; opaque to the kernel."""
    return hex_digest(
        sorted_bytes(
            {
                "candidate_id": candidate_id,
                "execution_id": execution_id,
                "model_id": model_id,
                "passed": passed,
                "policy_hash": policy_hash,
                "provider_family": provider_family,
                "reason_codes": list(reason_codes),
                "score": float(score),
            }
        )
    )


def _ref(ref: Mapping[str, Json]) -> dict[str, Json]:
    return {field: ref[field] for field in _REF_FIELDS}
