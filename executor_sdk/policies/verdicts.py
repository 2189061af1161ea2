"""Verify answers: building the one that this executor sends, and the kernel's rules on one that it receives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from executor_sdk.errors import UnknownPolicyError
from executor_sdk.policies.builtin import bind, evaluate
from executor_sdk.protocol.digests import verifier_result_hash
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import INCONCLUSIVE, ReasonCode
from executor_sdk.protocol.wire import PolicyBinding, VerificationStatus, VerifyAnswer, WireError, derived_status, view

#: Bytes of one verify answer.
MAX_VERDICT_BYTES: Final = 65_536

#: Characters of the message in a verdict of ours.
MAX_MESSAGE: Final = 2_000

_MAX_CODE: Final = 65_535
_PROTOCOL_CODES: Final = frozenset(int(code) for code in ReasonCode)

#: Codes that any verdict may carry, whatever its policy lists.
_FREE_CODES: Final = frozenset({int(ReasonCode.UNKNOWN), int(ReasonCode.CUSTOM_ERROR)})


def verdict_answer(
    *,
    status: VerificationStatus,
    score: float,
    reason_codes: Sequence[int],
    candidate_id: str,
    execution_id: str,
    policy_hash: str,
    provider_family: str,
    model_id: str,
    message: str = "",
) -> dict[str, Json]:
    """The body of a 200 from `/verify`; `execution_id` is the proposer's, and the hash binds all but `message`.

    The message is for people: a key beyond the contract's, left out where nothing is said.
    """
    codes = [int(code) for code in reason_codes]
    answer: dict[str, Json] = {
        "verification_status": status,
        "passed": status == "passed",
        "score": float(score),
        "reason_codes": codes,
        "verifier_result_hash": verifier_result_hash(
            candidate_id=candidate_id,
            execution_id=execution_id,
            passed=status == "passed",
            score=score,
            reason_codes=codes,
            policy_hash=policy_hash,
            provider_family=provider_family,
            model_id=model_id,
        ),
        "provider_family": provider_family,
        "model_id": model_id,
    }
    if message:
        answer["message"] = message[:MAX_MESSAGE]
    return answer


def verdict_breaches(answer: Json, *, binding: PolicyBinding, output_schema: Json, output: Json) -> list[str]:
    """The kernel's sentences on a verify answer, in its order; empty when it accepts it.

    A verdict of failed or inconclusive that keeps the rules is accepted: it ends the candidate, not the verdict.
    """
    try:
        verdict = view(answer, VerifyAnswer)
    except WireError as error:
        return [f"verify answer does not decode: {error}"]
    return [
        *_shape_breaches(verdict, size_bytes=len(orjson.dumps(answer))),
        *_agreement_breaches(verdict),
        *_policy_breaches(verdict, binding, output_schema, output),
    ]


def _shape_breaches(verdict: VerifyAnswer, *, size_bytes: int) -> Iterator[str]:
    if size_bytes > MAX_VERDICT_BYTES:
        yield "verifier result exceeds limit"
    if not (verdict.provider_family.strip() and verdict.model_id.strip()):
        yield "provider_family/model_id required"
    if not 0.0 <= verdict.score <= 1.0:
        yield "verify score must be 0..1"
    if not verdict.reason_codes:
        yield "reason_codes cannot be empty"
    for code in verdict.reason_codes:
        if not 0 <= code <= _MAX_CODE:
            yield f"reason code out of range: {code}"


def _agreement_breaches(verdict: VerifyAnswer) -> Iterator[str]:
    status = derived_status(verdict)
    if verdict.passed != (status == "passed"):
        yield f"verification_status {status} requires passed={'true' if status == 'passed' else 'false'}"
    if status == "inconclusive" and not INCONCLUSIVE.intersection(verdict.reason_codes):
        yield "inconclusive verification requires evidence reachability reason code"


def _policy_breaches(verdict: VerifyAnswer, binding: PolicyBinding, schema: Json, output: Json) -> Iterator[str]:
    try:
        policy = bind(binding)
    except UnknownPolicyError as error:
        yield error.message
        return
    allowed = _FREE_CODES.union(policy.reason_codes)
    for code in verdict.reason_codes:
        if code in _PROTOCOL_CODES and code not in allowed:
            yield f"unknown reason code: {code}"
    if not verdict.passed:
        return
    if not evaluate(policy.policy_id, schema=schema, output=output, params=binding.policy_params).passed:
        yield "verifier passed flag mismatch"
