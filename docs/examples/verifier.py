"""A verifier: it reads the cited file again, and may only lower the verdict of the policy."""

from enum import IntEnum

from app import Finding, executor

from executor_sdk import Candidate, ReasonCode, Verdict


class Doubt(IntEnum):  # your own codes start at 1000; they are listed in /capabilities
    NOTHING_CITED = 1000
    SURE_OF_NOTHING = 1001


@executor.verify
async def holds(candidate: Candidate[Finding]) -> Verdict:
    if candidate.output.confidence < 0.5:
        return Verdict.failed(Doubt.SURE_OF_NOTHING, "a guess is not a finding")
    if not candidate.evidence_inline and not candidate.evidence_refs:
        return Verdict.inconclusive(ReasonCode.EVIDENCE_UNREACHABLE, "nothing was cited")
    for ref in candidate.evidence_refs:
        await candidate.fetch(ref)  # checked against its digest; what cannot be fetched becomes the verdict
    return Verdict.passed()
