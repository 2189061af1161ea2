"""The forms of events: their kinds, and the order of the fields that are signed, sorted where they are generic JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from executor_sdk.protocol.canonical import declared_bytes, sorted_copy
from executor_sdk.protocol.plain import Json
from kernel_stub.rules.records import EventDraft

#: The version that every event carries.
PROTOCOL_VERSION: Final = "0.1.0"

#: Every kind that a local kernel may meet in a log.
KINDS: Final = (
    "TASK_CREATED", "TASK_CLAIMED", "TASK_CLAIM_RENEWED", "TASK_CLAIM_RELEASED", "CANDIDATE_PROPOSED",
    "EVIDENCE_ADDED", "EVIDENCE_AVAILABLE", "VERIFIER_RESULT_SUBMITTED", "VOTE_COMMIT", "VOTE_REVEAL",
    "DECISION_COMMITTED", "DECISION_FINALIZED", "TASK_ERROR", "TASK_RETRY_SCHEDULED", "TASK_EXPIRED", "TASK_STOPPED",
    "TASK_SUSPENDED", "TASK_KILLED", "TASK_COMPLETED", "TASK_SETTLED", "CHECKPOINT_CREATED", "TASK_FEEDBACK_REPORTED",
    "REUSE_REJECT_RECORDED", "EVENT_REVOKED", "NODE_PENALIZED", "TASK_ANNOUNCED",
)  # fmt: skip

#: What a field holds: None a scalar or a list of scalars, GENERIC any JSON, a mapping the fields of a record (or of
#: each record in a list).
Form: TypeAlias = "Mapping[str, Form] | str | None"

GENERIC: Final = "generic"

_REF: Final[Form] = dict.fromkeys(("uri", "digest", "size_bytes", "mime", "created_at", "producer"))

_CONTRACT: Final[Form] = {
    **dict.fromkeys(("protocol_version", "task_id", "task_type")),
    "inputs": GENERIC,
    "output_schema": GENERIC,
    "budget": dict.fromkeys((
        "time_ms", "max_steps", "cost_units", "mode", "explore_cost_units", "verify_cost_units",
        "finalize_cost_units", "reuse_verify_time_ms", "reuse_verify_cost_units", "reuse_max_attempts",
    )),
    "assignment": {
        "mode": None,
        "claim": {"lease_ms": None, "max_concurrency": dict.fromkeys(("propose", "verify"))},
        "explore": {"max_proposers": None, "topk": None, "stop": dict.fromkeys(("no_new_evidence_rounds",))},
        "verify": dict.fromkeys(("max_verifiers",)),
        "finalize": dict.fromkeys(("max_finalizers",)),
    },
    "acceptance": {
        "quorum_threshold": None,
        "verifier_policy": {**dict.fromkeys(("policy_id", "policy_version", "policy_hash")), "policy_params": GENERIC},
        "vote": dict.fromkeys(("commit_reveal", "reveal_deadline_ms")),
        "settlement": {
            "window_ms": None,
            "implicit_weight": None,
            "implicit_diminishing_returns": dict.fromkeys(("W", "K")),
            "bad_penalty": dict.fromkeys(("P",)),
            "feedback": dict.fromkeys(("mode", "authority_pubkey")),
        },
        "da_quorum_threshold": None,
    },
    "task_mode": None,
    "expiry_ms": None,
    "evidence_policy": dict.fromkeys((
        "max_inline_evidence_bytes", "max_inline_media_bytes", "inline_mime_allowlist", "max_snippet_bytes",
        "max_snippet_tokens",
    )),
}  # fmt: skip

_CANDIDATE: Final[Form] = {
    "candidate_id": None,
    "execution_id": None,
    "output_ref": _REF,
    "evidence_inline": dict.fromkeys(("mime", "content")),
    "evidence_refs": _REF,
}

_RESULT: Final[Form] = dict.fromkeys((
    "candidate_id", "execution_id", "verification_status", "passed", "score", "reason_codes", "verifier_result_hash",
    "provider_family", "model_id", "policy_id", "policy_version", "policy_hash",
))  # fmt: skip

_VOTE: Final = ("task_id", "candidate_id", "candidate_hash", "execution_id", "verifier_result_hash")

#: Recorded payloads. An event of another kind is taken in the order in which it stands.
_PAYLOADS: Final[Mapping[str, Form]] = {
    "TASK_CREATED": _CONTRACT,
    "TASK_CLAIMED": dict.fromkeys(("task_id", "role", "claimer_node_id", "execution_id", "lease_until")),
    "CANDIDATE_PROPOSED": {"task_id": None, "candidate": _CANDIDATE},
    "EVIDENCE_AVAILABLE": dict.fromkeys(("task_id", "candidate_id", "execution_id", "evidence_digest")),
    "VERIFIER_RESULT_SUBMITTED": {"task_id": None, "result": _RESULT},
    "VOTE_COMMIT": dict.fromkeys((*_VOTE, "commit_hash")),
    "VOTE_REVEAL": dict.fromkeys((*_VOTE, "vote", "salt")),
    "DECISION_COMMITTED": dict.fromkeys(("task_id", "epoch", "candidate_id", "candidate_hash")),
    "DECISION_FINALIZED": {
        **dict.fromkeys(("task_id", "epoch", "candidate_id", "winning_candidate_hash")),
        "finality_proof": {"threshold": None, "signatures": dict.fromkeys(("signer_node_id", "signature_hex"))},
    },
    "CHECKPOINT_CREATED": dict.fromkeys(("checkpoint_id", "up_to_seq")),
}


#: Fields of an event before its payload, less the id.
_TOLD: Final = (
    "protocol_version", "event_kind", "task_id", "swarm_scope", "epoch", "author_node_id", "created_at",
)  # fmt: skip


def unsigned_event(draft: EventDraft, *, author: str) -> dict[str, Json]:
    """An event of this protocol version before it has an id, its payload in declaration order."""
    return {
        "protocol_version": PROTOCOL_VERSION,
        "event_kind": draft.kind,
        "task_id": draft.task_id,
        "swarm_scope": "global",
        "epoch": 1,
        "author_node_id": author,
        "created_at": draft.created_at,
        "payload": {"type": payload_type(draft.kind), "payload": ordered(_PAYLOADS.get(draft.kind), draft.payload)},
    }


def unsigned_bytes(event: Mapping[str, Json]) -> bytes:
    """The bytes that an event's id is the hash of: the event without id and signature, in declaration order."""
    payload = event["payload"]
    told = {"type": payload["type"], "payload": ordered(_PAYLOADS.get(event["event_kind"]), payload["payload"])}
    return declared_bytes({**{name: event[name] for name in _TOLD}, "payload": told})


def payload_type(kind: str) -> str:
    """`TaskCreated` for `TASK_CREATED`."""
    return kind.title().replace("_", "")


def ordered(form: Form, value: Json) -> Json:
    """`value` with its records' fields in declaration order and its generic parts sorted.

    Fields that a record does not declare are left out: they are not part of what is signed.
    """
    if form is None:
        return value
    if isinstance(form, str):
        return sorted_copy(value)
    if isinstance(value, list):
        return [ordered(form, item) for item in value]
    if not isinstance(value, dict):
        return value
    # Most fields are scalars, and every event of every step comes through here: those are not worth a call each.
    return {
        name: value[name] if part is None else ordered(part, value[name])
        for name, part in form.items()
        if name in value
    }


def undeclared(event: Mapping[str, Json]) -> str | None:
    """The path of the first field of a whole event that is no part of what is signed; None if every field is."""
    payload: Form = {"type": None, "payload": _PAYLOADS.get(event["event_kind"])}
    return _undeclared({**dict.fromkeys(("event_id", *_TOLD, "signature_hex")), "payload": payload}, event, "$")


def _undeclared(form: Form, value: Json, path: str) -> str | None:
    if form is None or isinstance(form, str):
        return None
    if isinstance(value, list):
        return next((found for n, item in enumerate(value) if (found := _undeclared(form, item, f"{path}[{n}]"))), None)
    if not isinstance(value, dict):
        return None
    for name, item in value.items():
        if name not in form:
            return f"{path}.{name}"
        if (found := _undeclared(form[name], item, f"{path}.{name}")) is not None:
            return found
    return None
