"""The documents that tell a round: the aggregation as events carry it, and the result of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.buckets import Ballot
from kernel_stub.rules.aggregation.conclusion import Voice
from kernel_stub.rules.aggregation.reexplore import Kind
from kernel_stub.rules.aggregation.round import Round
from kernel_stub.rules.folding import trimmed
from kernel_stub.rules.records import RunStatus, Step, StepStatus


def aggregation_overview(counted: Round) -> dict[str, Json]:
    """The aggregation as events carry it."""
    return {
        **_votes(counted),
        "resolution_paths": _resolution_paths(counted),
        "null_resolution": _null_resolution(counted),
        "tie_policy": _policy(counted, "tie"),
        "null_policy": _policy(counted, "null"),
    }


def final_payload(counted: Round, status: RunStatus) -> dict[str, Json]:
    """What `RUN_FINALIZED` carries."""
    return {**_head(counted, status), "aggregation": aggregation_overview(counted)}


def final_result(counted: Round, status: RunStatus) -> dict[str, Json]:
    """The run's result. That it names paths and null reasons too is documented; the kernel leaves them to the event."""
    aggregation = {
        **_votes(counted),
        "resolution_paths": _resolution_paths(counted),
        "null_resolution": _null_resolution(counted),
        "tie_policy": _policy(counted, "tie"),
        "steps": [_step(voice) for voice in counted.voices],
    }
    return {**_head(counted, status), "aggregation": aggregation}


def step_counts(steps: Iterable[Step]) -> dict[str, Json]:
    """How many steps are in each state, all states named."""
    numbers = Counter(step.status for step in steps)
    return {status.lower(): numbers[status] for status in StepStatus}


def _head(counted: Round, status: RunStatus) -> dict[str, Json]:
    counts = step_counts(voice.step for voice in counted.voices)
    return {"run_id": counted.run.run_id, "status": str(status), "counts": counts}


def _votes(counted: Round) -> dict[str, Json]:
    decision, answer = counted.ballots["decision"], counted.ballots["answer"]
    return {
        "mode": counted.policy.mode if trimmed(counted.policy.mode) else "all_done",
        "final_decision": decision.value,
        "final_answer": answer.value,
        "decision_votes": dict(decision.votes),
        "answer_votes": dict(answer.votes),
    }


def _resolution_paths(counted: Round) -> dict[str, Json]:
    return {bucket: ballot.path for bucket, ballot in counted.ballots.items()}


def _null_resolution(counted: Round) -> dict[str, Json]:
    return {
        bucket: {"primary_kind": ballot.null_kind, "reason": ballot.null_reason}
        for bucket, ballot in counted.ballots.items()
    }


def _policy(counted: Round, kind: Kind) -> dict[str, Json]:
    policy = counted.policy.tie_policy if kind == "tie" else counted.policy.null_policy
    rounds = counted.tie if kind == "tie" else counted.null
    return {
        "enabled_on": list(policy.enabled_on),
        "chain": list(policy.chain),
        "trace": _trace(counted.ballots.values(), kind),
        "reexplore": rounds.facts(counted.unresolved(kind)),
    }


def _trace(ballots: Iterable[Ballot], kind: Kind) -> list[Json]:
    traces: Iterable[Sequence[dict[str, Json]]] = (
        ballot.tie_trace if kind == "tie" else ballot.null_trace for ballot in ballots
    )
    return [entry for trace in traces for entry in trace]


def _step(voice: Voice) -> dict[str, Json]:
    step = voice.step
    return {
        "step_id": step.step_id,
        "agent_id": step.agent_id,
        "executor": step.executor,
        "profile": step.profile,
        "status": str(step.status),
        "attempt": step.attempt,
        "task_id": step.task_id,
        "error": step.error,
        "result": step.result,
        "conclusion": voice.conclusion,
        "evidence_digests": list(voice.evidence),
    }
