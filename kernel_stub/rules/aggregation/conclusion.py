"""What one step said: its conclusion, its votes, its confidence, the evidence that it brought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from executor_sdk.protocol.plain import Json, NotJsonError, parse
from kernel_stub.rules.folding import folded, trimmed
from kernel_stub.rules.records import Step
from kernel_stub.rules.spec import ConfidenceWeighted


@dataclass(frozen=True, slots=True)
class Voice:
    """A step as the aggregation hears it; `evidence` are the digests it brought, sorted, each once."""

    step: Step
    conclusion: Json
    evidence: tuple[str, ...]

    @property
    def agent_id(self) -> str:
        """The agent whose step this is."""
        return self.step.agent_id


def voices_of(steps: Sequence[Step]) -> list[Voice]:
    """Every step's voice, in the order in which results show them: priority descending, then step id."""
    ordered = sorted(steps, key=lambda step: (-step.priority, step.step_id))
    return [_voice(step) for step in ordered]


def conclusion_of(result: Json) -> Json:
    """The part of a step's result that says something; null if none does."""
    if not isinstance(result, dict):
        return None
    if "candidate_output" in result:
        return result["candidate_output"]
    if "result_summary" in result:
        return _unpacked(result["result_summary"])
    return result if "decision" in result or "answer" in result else None


def vote_in(conclusion: Json, bucket: str) -> str | None:
    """The vote of a conclusion in a bucket: text that is not blank, trimmed and upper-cased."""
    value = conclusion.get(bucket) if isinstance(conclusion, dict) else None
    return (folded(value) or None) if isinstance(value, str) else None


def confidence_in(conclusion: Json, bucket: str, policy: ConfidenceWeighted) -> float:
    """How sure a conclusion is of its vote: by the bucket's own field, the general one, or the default; 0 to 1."""
    own = policy.decision_confidence_field if bucket == "decision" else policy.answer_confidence_field
    said = conclusion if isinstance(conclusion, dict) else {}
    for name in (own, policy.confidence_field):
        number = said.get(name)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return min(max(float(number), 0.0), 1.0)
    return min(max(policy.default_confidence, 0.0), 1.0)


def _voice(step: Step) -> Voice:
    conclusion = conclusion_of(step.result)
    digests = {trimmed(digest) for part in (step.result, conclusion) for digest in _digests(part)}
    return Voice(step, conclusion, tuple(sorted(digests - {""})))


def _unpacked(summary: Json) -> Json:
    if not isinstance(summary, str):
        return summary
    try:
        return parse(summary.encode())
    except NotJsonError:
        return summary


def _digests(part: Json) -> Iterator[str]:
    if not isinstance(part, dict):
        return
    yield from (item for item in _items(part.get("evidence_digests")) if isinstance(item, str))
    refs = (item for item in _items(part.get("evidence_refs")) if isinstance(item, dict))
    yield from (ref["digest"] for ref in refs if isinstance(ref.get("digest"), str))


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
