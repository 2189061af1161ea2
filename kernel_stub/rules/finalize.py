"""The end of a round: what a run's rows become when no step of it is active any more."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from kernel_stub.rules.aggregation.decide import Again, Final, decide
from kernel_stub.rules.records import Change, Run, RunEvent, RunStatus, Step, StepStatus


def finish(run: Run, steps: Sequence[Step], past: Sequence[RunEvent], now_ms: int) -> Change:
    """Aggregate a run whose steps have all ended: a last result, or another round.

    `past` are the run's earlier re-explore events, oldest first.
    """
    match decide(run, steps, past):
        case Again() as again:
            return _another_round(run, steps, again, now_ms)
        case Final() as final:
            return _ended(run, final, now_ms)


def _another_round(run: Run, steps: Sequence[Step], again: Again, now_ms: int) -> Change:
    queued = replace(
        run,
        status=RunStatus.QUEUED,
        shared_inputs=again.shared_inputs,
        result={},
        error=None,
        updated_at=now_ms,
        finished_at=None,
    )
    requeued = tuple(_requeued(step, now_ms) for step in steps if step.step_id in again.step_ids)
    event = RunEvent(run.run_id, again.event_type, again.payload, now_ms)
    return Change(run=queued, steps=requeued, run_events=(event,))


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


def _ended(run: Run, final: Final, now_ms: int) -> Change:
    ended = replace(run, status=final.status, result=final.result, updated_at=now_ms, finished_at=now_ms)
    return Change(run=ended, run_events=(RunEvent(run.run_id, "RUN_FINALIZED", final.payload, now_ms),))
