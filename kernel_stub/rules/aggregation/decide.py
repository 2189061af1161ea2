"""The decision at the end of a round: another round, or the result of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.null import next_action
from kernel_stub.rules.aggregation.reexplore import EVENT_TYPES, SIGNAL_KEY, Kind
from kernel_stub.rules.aggregation.report import aggregation_overview, final_payload, final_result
from kernel_stub.rules.aggregation.round import PATHS, Round, counted
from kernel_stub.rules.records import TERMINAL_STEP, Run, RunEvent, RunStatus, Step, StepStatus
from kernel_stub.rules.spec import as_object


@dataclass(frozen=True, slots=True)
class Again:
    """Another round: the event that says why, what the agents are told, and the steps that run once more."""

    event_type: str
    payload: dict[str, Json]
    shared_inputs: dict[str, Json]
    step_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Final:
    """The end: the run's last status, its result, and the payload of its last event."""

    status: RunStatus
    result: dict[str, Json]
    payload: dict[str, Json]


Decided: TypeAlias = Again | Final


def decide(run: Run, steps: Sequence[Step], past: Sequence[RunEvent]) -> Decided:
    """Count a round whose steps have all ended. `past` are the run's earlier re-explore events, oldest first."""
    this = counted(run, steps, past)
    kind = _another_round(this)
    return _final(this) if kind is None else _again(this, kind)


def _another_round(this: Round) -> Kind | None:
    """The kind of the next round, tie before null; a run that is being cancelled has none."""
    if this.run.status is RunStatus.CANCELLING:
        return None
    kinds: tuple[Kind, ...] = ("tie", "null")
    return next((kind for kind in kinds if this.wants(kind)), None)


def _again(this: Round, kind: Kind) -> Again:
    rounds = this.tie if kind == "tie" else this.null
    told = _told(this, kind)
    payload: dict[str, Json] = {
        "run_id": this.run.run_id,
        "path": told["path"],
        "action": told["type"],
        "reexplore": rounds.memory(told["unresolved_buckets"], this.evidence),
        "aggregation": aggregation_overview(this),
    }
    if kind == "null":
        payload["null_resolution"] = {"primary_kind": told["null_primary_kind"], "reason": told["null_reason"]}
    shared_inputs = {**as_object(this.run.shared_inputs), SIGNAL_KEY: told}
    return Again(EVENT_TYPES[kind], payload, shared_inputs, _to_run_again(this))


def _told(this: Round, kind: Kind) -> dict[str, Json]:
    """What the agents of the next round are told. For a null it is the first bucket without a value that speaks."""
    rounds = this.tie if kind == "tie" else this.null
    unresolved = this.unresolved(kind)
    first = this.ballots[unresolved[0]]
    return {
        "type": next_action(first.null_kind, first.null_reason),
        "path": PATHS[kind],
        "iteration": rounds.iteration + 1,
        "unresolved_buckets": unresolved,
        "require_new_evidence": rounds.policy.require_new_evidence,
        "null_primary_kind": first.null_kind,
        "null_reason": first.null_reason,
    }


def _to_run_again(this: Round) -> frozenset[str]:
    """The steps that succeeded; every ended one if none did."""
    steps = [voice.step for voice in this.voices]
    succeeded = frozenset(step.step_id for step in steps if step.status is StepStatus.SUCCEEDED)
    return succeeded or frozenset(step.step_id for step in steps if step.status in TERMINAL_STEP)


def _final(this: Round) -> Final:
    status = _last_status(this)
    return Final(status, final_result(this, status), final_payload(this, status))


def _last_status(this: Round) -> RunStatus:
    if this.run.status is RunStatus.CANCELLING:
        return RunStatus.CANCELLED
    succeeded = any(voice.step.status is StepStatus.SUCCEEDED for voice in this.voices)
    return RunStatus.FINALIZED if succeeded else RunStatus.FAILED
