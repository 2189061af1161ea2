"""Checks of `POST /verify`: verdicts that a kernel accepts, and that are true."""

from __future__ import annotations

from typing import Final

from executor_sdk.client.asks import Asked, verify_body
from executor_sdk.conformance import bodies
from executor_sdk.conformance.bodies import CROSSCHECK, SCHEMA_ONLY, THRESHOLDS
from executor_sdk.conformance.results import BrokenError, Level, NotTestableError, Requirement, Source
from executor_sdk.conformance.target import Probe, Received
from executor_sdk.protocol import wire
from executor_sdk.protocol.digests import verifier_result_hash
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import INCONCLUSIVE, ReasonCode

#: The codes of vp.schema_only.v1, and the two that every policy may use.
ALLOWED_CODES: Final = frozenset({0, 100, 101, 200, 201, 202, 203, 999})

_U16: Final = 65_535


@Requirement(
    id="EXC-VERIFY-001",
    title="POST /verify answers a whole verdict on the executor's own candidate",
    quote="Accepts a candidate and returns a verification result.",
    source=Source.DOCUMENTS,
    prerequisite="EXC-EXEC-001",
    mutant="sends a score of 1.5",
)
async def a_verdict_is_whole(probe: Probe) -> None:
    """Every field with its type and range; the status is looked at by EXC-VERIFY-002."""
    answered = await _verdict(probe, verify_body(await probe.done()))
    try:
        verdict = wire.view({**answered, "verification_status": None}, wire.VerifyAnswer)
    except wire.WireError as error:
        raise BrokenError(f"the answer of /verify: {error}") from None
    for rule, holds in _verdict_rules(verdict).items():
        if not holds:
            raise BrokenError(f"the answer of /verify: {rule}")


@Requirement(
    id="EXC-VERIFY-002",
    title="verification_status is one of three, agrees with passed, and inconclusive has its reason",
    quote="inconclusive verification requires evidence reachability reason code",
    source=Source.RECORDING,
    prerequisite="EXC-VERIFY-001",
    mutant="says failed beside passed: true",
)
async def the_status_agrees_with_passed(probe: Probe) -> None:
    """Looked at on a good candidate and on a bad one; a status that is left out is derived by the kernel."""
    done = await probe.done()
    for body in (verify_body(done), verify_body(done, output=_without_answer(done))):
        verdict = await _verdict(probe, body, or_refused=True)
        if verdict.get("verification_status") is not None:
            _agrees(verdict)


@Requirement(
    id="EXC-VERIFY-003",
    title="The executor's own good candidate is not failed",
    quote="POST /verify once per candidate: the same executor verifies what it proposed",
    source=Source.RECORDING,
    prerequisite="EXC-VERIFY-001",
    mutant="fails every candidate",
)
async def its_own_candidate_is_not_failed(probe: Probe) -> None:
    """Inconclusive is an honest verdict where the evidence cannot be reached."""
    done = await probe.done()
    verdict = await _verdict(probe, verify_body(done))
    inconclusive = INCONCLUSIVE.intersection(_codes(verdict))
    if not verdict.get("passed") and not inconclusive:
        raise BrokenError(f"its own candidate was failed with reason codes {verdict.get('reason_codes')}")


@Requirement(
    id="EXC-VERIFY-004",
    title="A candidate that breaks the output schema is not passed",
    quote="if true, the kernel evaluates the policy itself and refuses the result when it disagrees",
    source=Source.RECORDING,
    prerequisite="EXC-VERIFY-003",
    mutant="passes every candidate under vp.schema_only.v1",
)
async def a_bad_candidate_is_not_passed(probe: Probe) -> None:
    """Two faults, each alone: `answer` left out, `answer` of another type."""
    done = await probe.done()
    for output, what in ((_without_answer(done), "no answer"), (_output(done) | {"answer": 5}, "a number as answer")):
        await _not_passed(probe, verify_body(done, output=output), f"a candidate with {what}")


@Requirement(
    id="EXC-VERIFY-005",
    title="An unknown policy, version or hash is answered 400",
    quote="policy binding invalid: …",
    source=Source.RECORDING,
    prerequisite="EXC-VERIFY-001",
    mutant="judges by a policy whose hash it does not know",
)
async def an_unknown_policy_is_answered_400(probe: Probe) -> None:
    """Three bindings, each with one fault; the whole one is asked by EXC-VERIFY-001."""
    done = await probe.done()
    faults = {"policy_id": "vp.conformance_unknown.v1", "policy_version": "999", "policy_hash": "0" * 64}
    for field, value in faults.items():
        policy = bodies.binding(SCHEMA_ONLY) | {field: value}
        answer = await probe.post("/verify", verify_body(done, policy=policy))
        if answer.status != 400:
            raise BrokenError(f"a policy with {field} {value!r} was answered {answer.status}, expected 400")


@Requirement(
    id="EXC-VERIFY-006",
    level=Level.SHOULD,
    title="verifier_result_hash follows the reference rule",
    quote="hex SHA-256 of the sorted compact JSON of {candidate_id, execution_id, model_id, passed, …}",
    source=Source.RECORDING,
    prerequisite="EXC-VERIFY-001",
    mutant="sends a hash of something else",
)
async def the_result_hash_follows_the_reference_rule(probe: Probe) -> None:
    """The kernel takes any hash; with this one anybody can recompute what a vote committed to."""
    body = verify_body(await probe.done())
    verdict = await _verdict(probe, body)
    expected = verifier_result_hash(
        candidate_id=body["candidate"]["candidate_id"],
        execution_id=body["candidate"]["execution_id"],
        policy_hash=body["policy"]["policy_hash"],
        passed=bool(verdict.get("passed")),
        score=_number(verdict.get("score")),
        reason_codes=_codes(verdict),
        provider_family=str(verdict.get("provider_family")),
        model_id=str(verdict.get("model_id")),
    )
    if verdict.get("verifier_result_hash") != expected:
        raise BrokenError(f"verifier_result_hash is {verdict.get('verifier_result_hash')!r}, by the rule {expected!r}")


@Requirement(
    id="EXC-VERIFY-007",
    title="Every protocol reason code belongs to the policy",
    quote="a protocol code outside the policy's own list is refused, except 0 and 999",
    source=Source.RECORDING,
    prerequisite="EXC-VERIFY-001",
    mutant="adds 105 (SCORE_TOO_LOW) under vp.schema_only.v1",
)
async def reason_codes_belong_to_the_policy(probe: Probe) -> None:
    """Codes that the protocol does not know are an author's own and pass."""
    done = await probe.done()
    for body in (verify_body(done), verify_body(done, output=_without_answer(done))):
        verdict = await _verdict(probe, body, or_refused=True)
        foreign = [code for code in _codes(verdict) if code in _PROTOCOL_CODES and code not in ALLOWED_CODES]
        if foreign:
            raise BrokenError(f"reason codes {foreign} are not among those of {SCHEMA_ONLY}")


@Requirement(
    id="EXC-VERIFY-008",
    title="The same candidate again gets the same verdict",
    quote="a resend is recognised by the digest of its body, and verifying must be pure",
    source=Source.OURS,
    prerequisite="EXC-VERIFY-001",
    mutant="lowers the score each time it is asked",
)
async def verifying_again_changes_nothing(probe: Probe) -> None:
    """A verdict that was inconclusive may well be another one later."""
    body = verify_body(await probe.done())
    first, second = await _verdict(probe, body), await _verdict(probe, body)
    if INCONCLUSIVE.intersection([*_codes(first), *_codes(second)]):
        raise NotTestableError("the verdict is inconclusive, so it may change")
    changed = [key for key in ("passed", "score", "reason_codes") if first.get(key) != second.get(key)]
    if changed:
        raise BrokenError(f"the same candidate verified twice got another {' and '.join(changed)}")


@Requirement(
    id="EXC-VERIFY-009",
    title="A candidate below a policy's thresholds is not passed",
    quote="output.confidence (missing = 0.0) ≥ min_confidence; output.check_summary is a non-blank string",
    source=Source.RECORDING,
    prerequisite="EXC-VERIFY-001",
    mutant="passes any confidence under vp.schema_thresholds.v1",
)
async def thresholds_are_kept(probe: Probe) -> None:
    """A confidence below the minimum, and a missing check summary; who refuses the policy passes nothing."""
    done = await probe.done()
    thresholds = bodies.binding(THRESHOLDS, {"min_confidence": 0.5})
    low = _output(done) | {"confidence": 0.1}
    await _not_passed(probe, verify_body(done, output=low, policy=thresholds), "confidence 0.1 where 0.5 is demanded")
    bare = {key: value for key, value in _output(done).items() if key != "check_summary"}
    crosscheck = verify_body(done, output=bare, policy=bodies.binding(CROSSCHECK, {"min_score": 0.1}))
    await _not_passed(probe, crosscheck, "a missing check_summary under vp.crosscheck.v1")


@Requirement(
    id="EXC-VERIFY-010",
    level=Level.SHOULD,
    title="The three built-in policies are known",
    quote="Built-in verification policies (vp.schema_only.v1, vp.schema_thresholds.v1, vp.crosscheck.v1).",
    source=Source.DOCUMENTS,
    prerequisite="EXC-VERIFY-001",
    mutant="refuses vp.crosscheck.v1",
)
async def the_built_in_policies_are_known(probe: Probe) -> None:
    """Known means judged: the verdict itself is free."""
    done = await probe.done()
    for policy_id in (SCHEMA_ONLY, THRESHOLDS, CROSSCHECK):
        answer = await probe.post("/verify", verify_body(done, policy=bodies.binding(policy_id)))
        if answer.status != 200:
            raise BrokenError(f"{policy_id} was answered {answer}")


def _verdict_rules(verdict: wire.VerifyAnswer) -> dict[str, bool]:
    return {
        "score must be 0..1": 0 <= verdict.score <= 1,
        "reason_codes must not be empty": bool(verdict.reason_codes),
        "reason_codes must be 0..65535": all(0 <= code <= _U16 for code in verdict.reason_codes),
        "verifier_result_hash must not be blank": bool(verdict.verifier_result_hash.strip()),
        "provider_family and model_id must not be blank": bool(
            verdict.provider_family.strip() and verdict.model_id.strip()
        ),
    }


def _agrees(verdict: dict[str, Json]) -> None:
    status, passed = verdict["verification_status"], verdict.get("passed")
    if status not in ("passed", "failed", "inconclusive"):
        raise BrokenError(f"verification_status is {status!r}, expected passed, failed or inconclusive")
    if (status == "passed") is not passed:
        raise BrokenError(f"verification_status is {status!r} beside passed: {passed}")
    if status == "inconclusive" and not INCONCLUSIVE.intersection(_codes(verdict)):
        raise BrokenError(f"inconclusive needs a reason 200, 201 or 202; it has {verdict.get('reason_codes')}")


async def _verdict(probe: Probe, body: Json, *, or_refused: bool = False) -> dict[str, Json]:
    answer = await probe.post("/verify", body)
    if or_refused and 400 <= answer.status < 500:
        return {}
    return _content(answer)


def _content(answer: Received) -> dict[str, Json]:
    content = answer.json
    if answer.status != 200 or not isinstance(content, dict):
        raise BrokenError(f"POST /verify was answered {answer}, expected a verdict")
    return content


async def _not_passed(probe: Probe, body: Json, what: str) -> None:
    """A 4xx is no `passed` either: the kernel turns it into an inconclusive verdict."""
    verdict = await _verdict(probe, body, or_refused=True)
    if verdict and verdict.get("passed") is not False:
        raise BrokenError(f"{what} was passed")


def _output(done: Asked) -> dict[str, Json]:
    output = done.answer["candidate_output"]
    if not isinstance(output, dict):
        raise NotTestableError("its output is no object, so no part of it can be taken away")
    return output


def _without_answer(done: Asked) -> dict[str, Json]:
    return {key: value for key, value in _output(done).items() if key != "answer"}


def _codes(verdict: dict[str, Json]) -> list[int]:
    codes = verdict.get("reason_codes")
    return [code for code in codes if isinstance(code, int)] if isinstance(codes, list) else []


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


_PROTOCOL_CODES: Final = frozenset(ReasonCode)
