"""The end of a round, when no step of the run is active any more: another round, or the result of the run."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.reexplore import EVENT_TYPES, SIGNAL_KEY, Kind
from kernel_stub.rules.aggregation.report import aggregation_overview, final_documents
from kernel_stub.rules.aggregation.round import PATHS, Round, counted
from kernel_stub.rules.records import TERMINAL_STEP, Change, Run, RunEvent, RunStatus, Step, StepStatus
from kernel_stub.rules.spec import as_object


def finish(run: Run, steps: Sequence[Step], past: Sequence[RunEvent], now_ms: int) -> Change:
    """Aggregate a run whose steps have all ended: a last result, or another round, tie before null.

    `past` are the run's earlier re-explore events, oldest first. A run that is being cancelled has no further round.
    """
    this = counted(run, steps, past)
    if run.status is not RunStatus.CANCELLING:
        for kind in PATHS:
            if this.wants(kind):
                return _another_round(this, kind, now_ms)
    return _ended(this, now_ms)


def _another_round(this: Round, kind: Kind, now_ms: int) -> Change:
    run, told = this.run, _told(this, kind)
    payload: dict[str, Json] = {
        "run_id": run.run_id,
        "path": told["path"],
        "action": told["type"],
        "reexplore": this.rounds[kind].memory(told["unresolved_buckets"], this.evidence),
        "aggregation": aggregation_overview(this),
    }
    if kind == "null":
        payload["null_resolution"] = {"primary_kind": told["null_primary_kind"], "reason": told["null_reason"]}
    queued = replace(
        run,
        status=RunStatus.QUEUED,
        shared_inputs={**as_object(run.shared_inputs), SIGNAL_KEY: told},
        result={},
        error=None,
        updated_at=now_ms,
        finished_at=None,
    )
    requeued = tuple(_requeued(step, now_ms) for step in _to_run_again(this))
    return Change(run=queued, steps=requeued, run_events=(RunEvent(run.run_id, EVENT_TYPES[kind], payload, now_ms),))


def _told(this: Round, kind: Kind) -> dict[str, Json]:
    """What the agents of the next round are told. For a null it is the first bucket without a value that speaks."""
    rounds = this.rounds[kind]
    unresolved = this.unresolved(kind)
    first = this.ballots[unresolved[0]]
    return {
        "type": _next_action(first.null_kind, first.null_reason),
        "path": PATHS[kind],
        "iteration": rounds.iteration + 1,
        "unresolved_buckets": unresolved,
        "require_new_evidence": rounds.policy.require_new_evidence,
        "null_primary_kind": first.null_kind,
        "null_reason": first.null_reason,
    }


def _next_action(kind: str | None, reason: str | None) -> str:
    """What the next round is asked for; a tie has neither kind nor reason."""
    if reason == "EXECUTION_INCOMPLETE_OR_FAILED":
        return "NEED_STEP_RECOVERY"
    return "NEED_DECISION" if kind == "EMPTY" else "NEED_MORE_EVIDENCE"


def _to_run_again(this: Round) -> list[Step]:
    """The steps that succeeded; every ended one if none did."""
    steps = [voice.step for voice in this.voices]
    succeeded = [step for step in steps if step.status is StepStatus.SUCCEEDED]
    return succeeded or [step for step in steps if step.status in TERMINAL_STEP]


def _requeued(step: Step, now_ms: int) -> Step:
    """The step as it waits for its next round. `attempt` counts on: task ids are made of it."""
    return replace(
        step,
        status=StepStatus.QUEUED,
        recoveries=0,
        lease_id=None,
        lease_owner=None,
        lease_holder=None,
        next_run_at=now_ms,
        task_id=None,
        error=None,
        result={},
    )


def _ended(this: Round, now_ms: int) -> Change:
    run, status = this.run, _last_status(this)
    result, payload = final_documents(this, status)
    ended = replace(run, status=status, result=result, updated_at=now_ms, finished_at=now_ms)
    return Change(run=ended, run_events=(RunEvent(run.run_id, "RUN_FINALIZED", payload, now_ms),))


def _last_status(this: Round) -> RunStatus:
    if this.run.status is RunStatus.CANCELLING:
        return RunStatus.CANCELLED
    succeeded = any(voice.step.status is StepStatus.SUCCEEDED for voice in this.voices)
    return RunStatus.FINALIZED if succeeded else RunStatus.FAILED
