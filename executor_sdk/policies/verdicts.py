"""Verify answers: what policy and author say together, the answer that carries it, and the kernel's rules on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import orjson
from msgspec import Struct

from executor_sdk.errors import UnknownPolicyError
from executor_sdk.policies.builtin import Evaluation, Policy, bind, evaluate
from executor_sdk.protocol.digests import verifier_result_hash
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import FIRST_OWN_CODE, INCONCLUSIVE, ReasonCode
from executor_sdk.protocol.wire import PolicyBinding, VerificationStatus, VerifyAnswer, WireError, derived_status, view

#: Bytes of one verify answer.
MAX_VERDICT_BYTES: Final = 65_536

#: Characters of the message in a verdict of ours.
MAX_MESSAGE: Final = 2_000

_MAX_CODE: Final = 65_535
_PROTOCOL_CODES: Final = frozenset(int(code) for code in ReasonCode)

#: Codes that any verdict may carry, whatever its policy lists.
_FREE_CODES: Final = frozenset({int(ReasonCode.UNKNOWN), int(ReasonCode.CUSTOM_ERROR)})


class Judgement(Struct, frozen=True):
    """A verdict before it is bound to its candidate and hashed; `message` is for people."""

    status: VerificationStatus
    score: float
    reason_codes: tuple[int, ...]
    message: str = ""


def by_policy(evaluation: Evaluation) -> Judgement:
    """What the policy alone says; the message holds its remarks, at most MAX_MESSAGE characters of them."""
    message = "; ".join(evaluation.remarks)[:MAX_MESSAGE]
    status: VerificationStatus = "passed" if evaluation.passed else "failed"
    return Judgement(status, evaluation.score, evaluation.reason_codes, message)


def lowered(evaluation: Evaluation, author: Judgement, policy: Policy) -> Judgement:
    """What an author says about a candidate that `policy` evaluated: never better than the evaluation.

    Protocol codes that the policy does not list are left out: kernels refuse a verdict that holds one.
    """
    if not evaluation.passed:
        return by_policy(evaluation)
    message = author.message[:MAX_MESSAGE]
    if author.status == "passed":
        return Judgement("passed", min(author.score, evaluation.score), evaluation.reason_codes, message)
    known = tuple(code for code in author.reason_codes if code >= FIRST_OWN_CODE or code in policy.reason_codes)
    return Judgement(author.status, author.score, known or (int(ReasonCode.CUSTOM_ERROR),), message)


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
    passed, codes = status == "passed", [int(code) for code in reason_codes]
    answer: dict[str, Json] = {
        "verification_status": status,
        "passed": passed,
        "score": float(score),
        "reason_codes": codes,
        "verifier_result_hash": verifier_result_hash(
            candidate_id=candidate_id,
            execution_id=execution_id,
            passed=passed,
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
