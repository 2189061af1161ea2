"""The documents that tell a round: the aggregation as events carry it, and the result of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.conclusion import Voice
from kernel_stub.rules.aggregation.reexplore import Kind
from kernel_stub.rules.aggregation.round import Round, policy_for
from kernel_stub.rules.folding import trimmed
from kernel_stub.rules.records import RunStatus, Step, StepStatus


def aggregation_overview(counted: Round) -> dict[str, Json]:
    """The aggregation as events carry it."""
    return {
        **_votes(counted),
        "resolution_paths": {bucket: ballot.path for bucket, ballot in counted.ballots.items()},
        "null_resolution": {
            bucket: {"primary_kind": ballot.null_kind, "reason": ballot.null_reason}
            for bucket, ballot in counted.ballots.items()
        },
        "tie_policy": _policy(counted, "tie"),
        "null_policy": _policy(counted, "null"),
    }


def final_documents(counted: Round, status: RunStatus) -> tuple[dict[str, Json], dict[str, Json]]:
    """The run's result, and what `RUN_FINALIZED` carries.

    That the result names paths and null reasons too is documented; the kernel leaves them to the event.
    """
    counts = step_counts(voice.step for voice in counted.voices)
    head = {"run_id": counted.run.run_id, "status": str(status), "counts": counts}
    overview = aggregation_overview(counted)
    shown = {name: part for name, part in overview.items() if name != "null_policy"}
    shown["steps"] = [_step(voice) for voice in counted.voices]
    return {**head, "aggregation": shown}, {**head, "aggregation": overview}


def step_counts(steps: Iterable[Step]) -> dict[str, Json]:
    """How many steps are in each state, all states named."""
    numbers = Counter(step.status for step in steps)
    return {status.lower(): numbers[status] for status in StepStatus}


def _votes(counted: Round) -> dict[str, Json]:
    decision, answer = counted.ballots["decision"], counted.ballots["answer"]
    return {
        "mode": counted.policy.mode if trimmed(counted.policy.mode) else "all_done",
        "final_decision": decision.value,
        "final_answer": answer.value,
        "decision_votes": dict(decision.votes),
        "answer_votes": dict(answer.votes),
    }


def _policy(counted: Round, kind: Kind) -> dict[str, Json]:
    policy = policy_for(counted.policy, kind)
    ballots = counted.ballots.values()
    return {
        "enabled_on": list(policy.enabled_on),
        "chain": list(policy.chain),
        "trace": [entry for ballot in ballots for entry in (ballot.tie_trace if kind == "tie" else ballot.null_trace)],
        "reexplore": counted.rounds[kind].facts(counted.unresolved(kind)),
    }


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
