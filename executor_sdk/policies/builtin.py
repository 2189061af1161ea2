"""The built-in verification policies `vp.*`, as the kernel evaluates them and as this kit judges by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeGuard

from msgspec import Struct, structs

from executor_sdk.errors import UnknownPolicyError
from executor_sdk.policies.compiled import compiled
from executor_sdk.policies.schemas import UnusableSchemaError, minimal_fits, misfits
from executor_sdk.protocol.canonical import declared_bytes, sorted_copy
from executor_sdk.protocol.digests import hex_digest
from executor_sdk.protocol.plain import Json, NotJsonError, parse
from executor_sdk.protocol.reason_codes import ReasonCode
from executor_sdk.protocol.requests import MAX_OUTPUT_BYTES
from executor_sdk.protocol.wire import PolicyBinding

_EVIDENCE_CODES: Final = (200, 201, 202, 203)

#: What the policies themselves say against an output that fits its schema, for people.
_SENTENCES: Final[Mapping[int, str]] = MappingProxyType(
    {
        ReasonCode.CONFIDENCE_TOO_LOW: "$.confidence is below min_confidence, or missing",
        ReasonCode.OUTPUT_TOO_LARGE: "$ has more bytes than max_len",
        ReasonCode.CHECK_SUMMARY_MISSING: "$.check_summary is missing or blank",
        ReasonCode.SCORE_TOO_LOW: "the score of this policy is below min_score",
    }
)


class Evaluation(Struct, frozen=True):
    """What a policy says about one output; `remarks` are sentences for people and never hashed."""

    passed: bool
    score: float
    reason_codes: tuple[int, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A verification policy: its specification, the function that applies it to (fits, output, params), and judging."""

    policy_id: str
    params_schema: dict[str, Json]
    reason_codes: tuple[int, ...]
    io_contract: str
    apply: Callable[[bool, Json, Mapping[str, Json]], Evaluation]
    policy_version: str = "1"
    policy_hash: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy_hash", hex_digest(self.specification()))

    def specification(self) -> bytes:
        """The bytes that `policy_hash` pins: fields as declared by the kernel; parameters' values are not in it."""
        return declared_bytes(
            {
                "policy_id": self.policy_id,
                "policy_version": self.policy_version,
                "params_schema": sorted_copy(self.params_schema),
                "reason_codes": list(self.reason_codes),
                "io_contract": self.io_contract,
            }
        )

    def judge(self, schema: bytes, output: bytes, params: Json) -> Evaluation:
        """Our own judgement: what the kernel would let pass must fit the whole schema too, or it fails with code 101.

        Both texts as they came. A schema that nobody can check fails too: passing it would vouch for what was not
        looked at. An output larger than any that is proposed is not parsed.
        """
        value, remarks = _looked_at(schema, output)
        evaluation = self.apply(not remarks, value, _mapping(params))
        told = [*remarks, *(_SENTENCES[code] for code in evaluation.reason_codes if code in _SENTENCES)]
        return structs.replace(evaluation, remarks=tuple(told)) if told else evaluation


def evaluate(policy_id: str, *, schema: Json, output: Json, params: Json) -> Evaluation:
    """The kernel's own evaluation: its minimal look at the schema, parameters of a wrong type passed over.

    Raises:
        UnknownPolicyError: there is no such policy.
    """
    return _policy(policy_id).apply(minimal_fits(schema, output), output, _mapping(params))


def bind(binding: PolicyBinding) -> Policy:
    """The policy that `binding` names and pins.

    Raises:
        UnknownPolicyError: unknown id, another version, or another hash.
    """
    policy = _policy(binding.policy_id)
    if binding.policy_version != policy.policy_version:
        raise UnknownPolicyError(
            f"policy binding invalid: {policy.policy_id} has version {policy.policy_version!r}, "
            f"not {binding.policy_version[:40]!r}"
        )
    if binding.policy_hash != policy.policy_hash:
        raise UnknownPolicyError(
            f"policy binding invalid: the hash of {policy.policy_id} is {policy.policy_hash}, "
            f"not {binding.policy_hash[:64]!r}"
        )
    return policy


def _policy(policy_id: str) -> Policy:
    if (policy := POLICIES.get(policy_id)) is None:
        raise UnknownPolicyError(
            f"policy binding invalid: unknown policy {policy_id[:80]!r}; known are {', '.join(POLICIES)}"
        )
    return policy


def _mapping(params: Json) -> Mapping[str, Json]:
    return params if isinstance(params, dict) else {}


def _looked_at(schema: bytes, output: bytes) -> tuple[Json, tuple[str, ...]]:
    """The output, None where it was not read, and what is wrong with it."""
    if len(output) > MAX_OUTPUT_BYTES:
        return None, (f"the output has {len(output)} bytes; an output has at most {MAX_OUTPUT_BYTES}",)
    try:
        value = parse(output)
    except NotJsonError as error:
        return None, (f"the output is not JSON, or {error}",)
    try:
        return value, tuple(map(str, misfits(compiled(schema), value, size_bytes=len(output))))
    except UnusableSchemaError as error:
        return value, (f"output_schema cannot be checked: {error}",)


def _schema_only(fits: bool, output: Json, params: Mapping[str, Json]) -> Evaluation:
    return Evaluation(fits, 1.0 if fits else 0.0, (_schema_code(fits),))


def _schema_thresholds(fits: bool, output: Json, params: Mapping[str, Json]) -> Evaluation:
    codes = [_schema_code(fits)]
    min_confidence, max_len = params.get("min_confidence"), params.get("max_len")
    if _is_number(min_confidence) and _confidence(output) < min_confidence:
        codes.append(ReasonCode.CONFIDENCE_TOO_LOW)
    if _is_number(max_len) and isinstance(max_len, int) and 0 <= max_len < len(declared_bytes(output)):
        codes.append(ReasonCode.OUTPUT_TOO_LARGE)
    passed = codes == [ReasonCode.SCHEMA_OK]
    return Evaluation(passed, 1.0 if passed else 0.2, tuple(map(int, codes)))


def _crosscheck(fits: bool, output: Json, params: Mapping[str, Json]) -> Evaluation:
    codes = [_schema_code(fits)]
    summary = output.get("check_summary") if isinstance(output, dict) else None
    if not (isinstance(summary, str) and summary.strip()):
        codes.append(ReasonCode.CHECK_SUMMARY_MISSING)
    score = 0.9 if codes == [ReasonCode.SCHEMA_OK] else 0.3
    min_score = params.get("min_score")
    if _is_number(min_score) and score < min_score:
        codes.append(ReasonCode.SCORE_TOO_LOW)
    return Evaluation(codes == [ReasonCode.SCHEMA_OK], score, tuple(map(int, codes)))


def _schema_code(fits: bool) -> int:
    return int(ReasonCode.SCHEMA_OK if fits else ReasonCode.SCHEMA_INVALID)


def _confidence(output: Json) -> float:
    confidence = output.get("confidence") if isinstance(output, dict) else None
    return float(confidence) if _is_number(confidence) else 0.0


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


#: By policy id, in the order in which `/capabilities` lists them.
POLICIES: Final[Mapping[str, Policy]] = MappingProxyType(
    {
        policy.policy_id: policy
        for policy in (
            Policy(
                policy_id="vp.schema_only.v1",
                params_schema={"properties": {}, "type": "object"},
                reason_codes=(100, 101, *_EVIDENCE_CODES),
                io_contract="validate candidate output against output_schema",
                apply=_schema_only,
            ),
            Policy(
                policy_id="vp.schema_thresholds.v1",
                params_schema={
                    "properties": {"max_len": {"type": "integer"}, "min_confidence": {"type": "number"}},
                    "type": "object",
                },
                reason_codes=(100, 101, 102, 103, *_EVIDENCE_CODES),
                io_contract="schema + generic thresholds",
                apply=_schema_thresholds,
            ),
            Policy(
                policy_id="vp.crosscheck.v1",
                params_schema={"properties": {"min_score": {"type": "number"}}, "type": "object"},
                reason_codes=(100, 101, 104, 105, *_EVIDENCE_CODES),
                io_contract="cross-check output and enforce check_summary",
                apply=_crosscheck,
            ),
        )
    }
)
