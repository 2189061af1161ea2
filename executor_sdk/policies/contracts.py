"""What a task contract must meet before a kernel creates the task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec

from executor_sdk.errors import UnknownPolicyError
from executor_sdk.policies.builtin import bind
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import INLINE_MIME_TYPES, MAX_INLINE_EVIDENCE_BYTES
from executor_sdk.protocol.wire import PolicyBinding, WireError, view

_Count = Annotated[int, msgspec.Meta(ge=0)]
_EVENT: Final = "invalid event: "


class _Budget(msgspec.Struct, frozen=True):
    time_ms: _Count
    max_steps: _Count
    cost_units: _Count
    reuse_verify_time_ms: _Count
    reuse_verify_cost_units: _Count
    reuse_max_attempts: _Count
    mode: Literal["LIFETIME", "EPOCH_RENEW"] = "LIFETIME"
    explore_cost_units: _Count = 0
    verify_cost_units: _Count = 0
    finalize_cost_units: _Count = 0


class _MaxConcurrency(msgspec.Struct, frozen=True):
    propose: _Count
    verify: _Count


class _Claim(msgspec.Struct, frozen=True):
    lease_ms: _Count
    max_concurrency: _MaxConcurrency


class _Stop(msgspec.Struct, frozen=True):
    no_new_evidence_rounds: _Count = 3


class _Explore(msgspec.Struct, frozen=True):
    max_proposers: _Count = 1
    topk: _Count = 3
    stop: _Stop = _Stop()


class _Verify(msgspec.Struct, frozen=True):
    max_verifiers: _Count = 1


class _Finalize(msgspec.Struct, frozen=True):
    max_finalizers: _Count = 1


class _Assignment(msgspec.Struct, frozen=True):
    mode: str
    claim: _Claim
    explore: _Explore = _Explore()
    verify: _Verify = _Verify()
    finalize: _Finalize = _Finalize()


class _Vote(msgspec.Struct, frozen=True):
    commit_reveal: bool
    reveal_deadline_ms: _Count


class _DiminishingReturns(msgspec.Struct, frozen=True):
    W: _Count
    K: _Count


class _BadPenalty(msgspec.Struct, frozen=True):
    P: _Count


class _Feedback(msgspec.Struct, frozen=True):
    mode: str
    authority_pubkey: str


class _Settlement(msgspec.Struct, frozen=True):
    window_ms: _Count
    implicit_weight: float
    implicit_diminishing_returns: _DiminishingReturns
    bad_penalty: _BadPenalty
    feedback: _Feedback


class _Acceptance(msgspec.Struct, frozen=True):
    quorum_threshold: _Count
    verifier_policy: PolicyBinding
    vote: _Vote
    settlement: _Settlement
    da_quorum_threshold: _Count = 1


class _EvidencePolicy(msgspec.Struct, frozen=True):
    max_inline_evidence_bytes: _Count
    max_inline_media_bytes: _Count
    inline_mime_allowlist: list[str]
    max_snippet_bytes: _Count = 8_192
    max_snippet_tokens: _Count = 2_048


class _Contract(msgspec.Struct, frozen=True):
    protocol_version: str
    task_id: str
    task_type: str
    inputs: Any
    output_schema: Any
    budget: _Budget
    assignment: _Assignment
    acceptance: _Acceptance
    expiry_ms: _Count
    evidence_policy: _EvidencePolicy
    task_mode: Literal["ONE_SHOT", "CONTINUOUS"] = "ONE_SHOT"


def contract_breaches(contract: Json) -> str | None:
    """The kernel's whole sentence on the first rule that `contract` breaks, or None.

    An expired contract, a quorum of 0, a blank task type and an odd `output_schema` are accepted, as recorded.
    """
    try:
        viewed = view(contract, _Contract)
    except WireError as error:
        return f"{_EVENT}task contract does not decode: {error}"
    breach = next(_breaches(viewed), None)
    if breach is not None:
        return f"{_EVENT}{breach}"
    try:
        bind(viewed.acceptance.verifier_policy)
    except UnknownPolicyError:
        return "task policy binding invalid"
    return None


def _breaches(contract: _Contract) -> Iterator[str]:
    if not contract.protocol_version.strip():
        yield "task protocol_version required"
    yield from _assignment_breaches(contract.assignment)
    yield from _budget_breaches(contract.budget)
    if contract.task_mode == "CONTINUOUS" and contract.budget.mode != "EPOCH_RENEW":
        yield "CONTINUOUS task_mode requires budget.mode=EPOCH_RENEW"
    yield from _acceptance_breaches(contract.acceptance)
    yield from _evidence_breaches(contract.evidence_policy)


def _assignment_breaches(assignment: _Assignment) -> Iterator[str]:
    if assignment.mode != "CLAIM":
        yield "assignment.mode must be CLAIM"
    for name, count in (
        ("explore.max_proposers", assignment.explore.max_proposers),
        ("explore.topk", assignment.explore.topk),
        ("explore.stop.no_new_evidence_rounds", assignment.explore.stop.no_new_evidence_rounds),
        ("verify.max_verifiers", assignment.verify.max_verifiers),
        ("finalize.max_finalizers", assignment.finalize.max_finalizers),
    ):
        if count == 0:
            yield f"{name} must be > 0"


def _budget_breaches(budget: _Budget) -> Iterator[str]:
    buckets = (budget.explore_cost_units, budget.verify_cost_units, budget.finalize_cost_units)
    if 0 in buckets:
        yield "stage budget buckets must be > 0"
    if sum(buckets) > budget.cost_units:
        yield "sum(stage budget buckets) must be <= budget.cost_units"
    if budget.reuse_verify_time_ms > budget.time_ms:
        yield "reuse_verify_time_ms must be <= budget.time_ms"
    if budget.reuse_verify_cost_units > budget.cost_units:
        yield "reuse_verify_cost_units must be <= budget.cost_units"
    if budget.reuse_max_attempts == 0:
        yield "budget.reuse_max_attempts must be > 0"


def _acceptance_breaches(acceptance: _Acceptance) -> Iterator[str]:
    settlement = acceptance.settlement
    if acceptance.da_quorum_threshold == 0:
        yield "acceptance.da_quorum_threshold must be > 0"
    if not acceptance.vote.commit_reveal:
        yield "vote.commit_reveal must be true"
    if not 0.0 <= settlement.implicit_weight <= 1.0:
        yield "settlement.implicit_weight must be within [0,1]"
    if settlement.implicit_diminishing_returns.K < 1:
        yield "settlement.K must be >= 1"
    if settlement.feedback.mode != "CAPABILITY":
        yield "settlement.feedback.mode must be CAPABILITY"
    if not settlement.feedback.authority_pubkey.strip():
        yield "settlement.feedback.authority_pubkey required"


def _evidence_breaches(policy: _EvidencePolicy) -> Iterator[str]:
    if policy.max_inline_evidence_bytes != MAX_INLINE_EVIDENCE_BYTES:
        yield "max_inline_evidence_bytes mismatch"
    if policy.max_inline_media_bytes != 0:
        yield "max_inline_media_bytes must be 0"
    for mime in INLINE_MIME_TYPES:
        if mime not in policy.inline_mime_allowlist:
            yield f"missing inline mime allowlist: {mime}"
    if 0 in (policy.max_snippet_bytes, policy.max_snippet_tokens):
        yield "evidence snippet limits must be > 0"
