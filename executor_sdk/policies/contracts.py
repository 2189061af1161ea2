"""What a task contract must meet before a kernel creates the task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from executor_sdk.errors import UnknownPolicyError
from executor_sdk.policies.builtin import bind
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import INLINE_MIME_TYPES, MAX_INLINE_EVIDENCE_BYTES
from executor_sdk.protocol.wire import PolicyBinding, WireError, view

_Count = Annotated[int, msgspec.Meta(ge=0)]
_EVENT: Final = "invalid event: "

#: Whether a rule holds, and the kernel's sentence where it does not.
_Rule: TypeAlias = tuple[bool, str]


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
    """The kernel's rules in its order: a sentence for each that is broken."""
    may_continue = contract.task_mode != "CONTINUOUS" or contract.budget.mode == "EPOCH_RENEW"
    rules = [
        (contract.protocol_version.strip() != "", "task protocol_version required"),
        *_assignment_rules(contract.assignment),
        *_budget_rules(contract.budget),
        (may_continue, "CONTINUOUS task_mode requires budget.mode=EPOCH_RENEW"),
        *_acceptance_rules(contract.acceptance, contract.acceptance.settlement),
        *_evidence_rules(contract.evidence_policy),
    ]
    return (sentence for holds, sentence in rules if not holds)


def _assignment_rules(assignment: _Assignment) -> list[_Rule]:
    explore = assignment.explore
    return [
        (assignment.mode == "CLAIM", "assignment.mode must be CLAIM"),
        (explore.max_proposers > 0, "explore.max_proposers must be > 0"),
        (explore.topk > 0, "explore.topk must be > 0"),
        (explore.stop.no_new_evidence_rounds > 0, "explore.stop.no_new_evidence_rounds must be > 0"),
        (assignment.verify.max_verifiers > 0, "verify.max_verifiers must be > 0"),
        (assignment.finalize.max_finalizers > 0, "finalize.max_finalizers must be > 0"),
    ]


def _budget_rules(budget: _Budget) -> list[_Rule]:
    buckets = (budget.explore_cost_units, budget.verify_cost_units, budget.finalize_cost_units)
    return [
        (0 not in buckets, "stage budget buckets must be > 0"),
        (sum(buckets) <= budget.cost_units, "sum(stage budget buckets) must be <= budget.cost_units"),
        (budget.reuse_verify_time_ms <= budget.time_ms, "reuse_verify_time_ms must be <= budget.time_ms"),
        (budget.reuse_verify_cost_units <= budget.cost_units, "reuse_verify_cost_units must be <= budget.cost_units"),
        (budget.reuse_max_attempts > 0, "budget.reuse_max_attempts must be > 0"),
    ]


def _acceptance_rules(acceptance: _Acceptance, settlement: _Settlement) -> list[_Rule]:
    return [
        (acceptance.da_quorum_threshold > 0, "acceptance.da_quorum_threshold must be > 0"),
        (acceptance.vote.commit_reveal, "vote.commit_reveal must be true"),
        (0.0 <= settlement.implicit_weight <= 1.0, "settlement.implicit_weight must be within [0,1]"),
        (settlement.implicit_diminishing_returns.K >= 1, "settlement.K must be >= 1"),
        (settlement.feedback.mode == "CAPABILITY", "settlement.feedback.mode must be CAPABILITY"),
        (settlement.feedback.authority_pubkey.strip() != "", "settlement.feedback.authority_pubkey required"),
    ]


def _evidence_rules(policy: _EvidencePolicy) -> list[_Rule]:
    allowed = policy.inline_mime_allowlist
    return [
        (policy.max_inline_evidence_bytes == MAX_INLINE_EVIDENCE_BYTES, "max_inline_evidence_bytes mismatch"),
        (policy.max_inline_media_bytes == 0, "max_inline_media_bytes must be 0"),
        *((mime in allowed, f"missing inline mime allowlist: {mime}") for mime in INLINE_MIME_TYPES),
        (policy.max_snippet_bytes > 0 < policy.max_snippet_tokens, "evidence snippet limits must be > 0"),
    ]
