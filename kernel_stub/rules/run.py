"""The life of a run and of its steps: pure transitions, each from a state to the change it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from executor_sdk.protocol.digests import output_digest
from executor_sdk.protocol.plain import Json
from kernel_stub.errors import IllegalTransitionError, LeaseLostError, RunExistsError
from kernel_stub.rules.finalize import finish
from kernel_stub.rules.records import (
    TERMINAL_RUN,
    TERMINAL_STEP,
    Attempt,
    Change,
    EventDraft,
    Phase,
    Run,
    RunEvent,
    RunStatus,
    Step,
    StepStatus,
)
from kernel_stub.rules.spec import backoff_ms, max_attempts
from kernel_stub.rules.states import EndingState, Lease, RunState, StepState

#: What stands in a step whose worker was lost.
LEASE_EXPIRED: Final = "lease expired; recovered"

_WAITING: Final = frozenset({StepStatus.CREATED, StepStatus.QUEUED, StepStatus.RETRY_WAIT})


def create(state: RunState, run: Run, steps: tuple[Step, ...], *, at_once: bool) -> Change:
    """Take in a new run; with `at_once`, it is kicked off too.

    Raises:
        RunExistsError: its id is taken.
    """
    if state.run is not None:
        raise RunExistsError(run.run_id)
    subject = output_digest(run.spec)
    event = RunEvent(run.run_id, "RUN_CREATED", {"run_id": run.run_id}, run.created_at, subject=subject)
    created = Change(run=run, steps=steps, run_events=(event,))
    return _joined(created, kickoff(RunState(run, steps), run.created_at)) if at_once else created


def kickoff(state: RunState, now_ms: int) -> Change:
    """Make the steps that wait due; nothing happens to a run that has ended or is being cancelled."""
    run = _run(state)
    if run.status in TERMINAL_RUN or run.status is RunStatus.CANCELLING:
        return Change()
    status = RunStatus.QUEUED if run.status is RunStatus.CREATED else run.status
    started = run.started_at if run.started_at is not None else now_ms
    steps = [
        _queued(step, now_ms) for step in state.steps if step.status in {StepStatus.CREATED, StepStatus.RETRY_WAIT}
    ]
    return Change(
        run=replace(run, status=status, started_at=started, updated_at=now_ms),
        steps=tuple(steps),
        run_events=(_event(run, "RUN_KICKOFF", {"run_id": run.run_id}, now_ms),),
    )


def cancel(state: RunState, now_ms: int) -> Change:
    """Stop the run: what waits is cancelled, what runs is told with its next renewal; the last one to end ends it."""
    run = _run(state)
    requested = Change(run_events=(_event(run, "RUN_CANCEL_REQUESTED", {"run_id": run.run_id}, now_ms),))
    if run.status in TERMINAL_RUN or run.status is RunStatus.CANCELLING:
        return requested
    run = replace(run, status=RunStatus.CANCELLING, updated_at=now_ms)
    stopped = {step.step_id: _cancelled(step) for step in state.steps if step.status in _WAITING}
    steps = tuple(stopped.get(step.step_id, step) for step in state.steps)
    change = replace(requested, run=run, steps=tuple(stopped.values()))
    if all(step.status in TERMINAL_STEP for step in steps):
        return _joined(change, finish(run, steps, state.reexplores, now_ms))
    return change


def retry(state: RunState, now_ms: int) -> Change:
    """Queue failed and waiting steps again; attempts are counted on.

    Raises:
        IllegalTransitionError: the run is cancelled.
    """
    run = _run(state)
    if run.status in {RunStatus.CANCELLED, RunStatus.CANCELLING}:
        raise IllegalTransitionError(f"run is cancelled, cannot retry: {run.run_id}")
    again = {StepStatus.FAILED, StepStatus.RETRY_WAIT}
    steps = tuple(_queued(step, now_ms) for step in state.steps if step.status in again)
    event = _event(run, "RUN_RETRY_REQUESTED", {"run_id": run.run_id, "steps_requeued": len(steps)}, now_ms)
    if not steps:
        return Change(run_events=(event,))
    run = replace(run, status=RunStatus.QUEUED, result={}, error=None, finished_at=None, updated_at=now_ms)
    return Change(run=run, steps=steps, run_events=(event,))


def claim(state: EndingState, lease: Lease, *, execution_id: str, verify_execution_id: str, now_ms: int) -> Change:
    """Take a due step for its next attempt; one whose run is being cancelled ends unrun."""
    run, step = state.run, state.step
    if run.status is RunStatus.CANCELLING:
        return _ended(state, _cancelled(step), (), now_ms)
    n = step.attempt + 1
    attempt = Attempt(
        step_id=step.step_id,
        n=n,
        task_id=f"run-{run.run_id}-{step.agent_id}-{n}",
        execution_id=execution_id,
        verify_execution_id=verify_execution_id,
        phase=Phase.PROBING,
        new_work=state.attempt is not None and state.attempt.turned_down,
    )
    held = _held(replace(step, attempt=n, recoveries=0, task_id=attempt.task_id, error=None), lease)
    facts = {"attempt": n, "lease_owner": lease.owner, "step_id": step.step_id, "task_id": attempt.task_id}
    return Change(
        run=_running(run, now_ms),
        steps=(held,),
        attempts=(attempt,),
        run_events=(_event(run, "STEP_CLAIMED", facts, now_ms),),
    )


def resume(state: EndingState, lease: Lease, *, now_ms: int, max_recoveries: int) -> Change:
    """Go on with the same attempt after its worker was lost; too many losses make it a dead letter."""
    run, step = state.run, state.step
    if run.status is RunStatus.CANCELLING:
        return _ended(state, _cancelled(step), (), now_ms)
    if state.attempt is None or state.attempt.phase is Phase.CLOSED:
        return Change(steps=(_queued(replace(step, error=LEASE_EXPIRED), now_ms),))
    if step.recoveries >= max_recoveries:
        return _dead_lettered(state, now_ms)
    facts = {
        "attempt": step.attempt,
        "error": LEASE_EXPIRED,
        "lease_owner": lease.owner,
        "recoveries": step.recoveries + 1,
        "step_id": step.step_id,
    }
    held = _held(replace(step, recoveries=step.recoveries + 1), lease)
    return Change(steps=(held,), run_events=(_event(run, "STEP_LEASE_EXPIRED", facts, now_ms),))


def fence(state: StepState, lease_id: str) -> Attempt:
    """The open attempt, if the step is still held under this lease.

    Raises:
        LeaseLostError: it is not; the one who asks must write nothing.
    """
    step, attempt = state.step, state.attempt
    if step.status is not StepStatus.LEASED or step.lease_id != lease_id or attempt is None:
        raise LeaseLostError(step.step_id, lease_id)
    return attempt


def advance(state: StepState, lease_id: str, attempt: Attempt, task_events: Sequence[EventDraft]) -> Change:
    """Commit how far the attempt has come, with the bytes that it is about to send."""
    fence(state, lease_id)
    return Change(attempts=(attempt,), task_events=tuple(task_events))


def succeed(state: EndingState, lease_id: str, result: Json, task_events: Sequence[EventDraft], now_ms: int) -> Change:
    """End the step with its result; the last step of a run ends the round."""
    attempt = fence(state, lease_id)
    step = replace(_let_go(state.step), status=StepStatus.SUCCEEDED, error=None, result=result)
    change = Change(attempts=(replace(attempt, phase=Phase.CLOSED),), task_events=tuple(task_events))
    return _joined(change, _ended(state, step, (_completed(state.run, step, now_ms),), now_ms))


def fail(
    state: EndingState,
    lease_id: str,
    error: str,
    *,
    final: bool,
    now_ms: int,
    task_events: Sequence[EventDraft] = (),
    turned_down: bool = False,
) -> Change:
    """Close the attempt; the step waits for another unless `final`, or none is left."""
    attempt = fence(state, lease_id)
    closed = replace(attempt, phase=Phase.CLOSED, error=error, turned_down=turned_down)
    change = Change(attempts=(closed,), task_events=tuple(task_events))
    step = replace(_let_go(state.step), error=error)
    if state.run.status is RunStatus.CANCELLING:
        ended = _ended(state, replace(step, status=StepStatus.CANCELLED), (), now_ms)
    elif not final and step.attempt < max_attempts(state.run):
        ended = _waiting(state.run, step, now_ms)
    else:
        step = replace(step, status=StepStatus.FAILED)
        ended = _ended(state, step, (_completed(state.run, step, now_ms),), now_ms)
    return _joined(change, ended)


def abandon(state: EndingState, lease_id: str, now_ms: int) -> Change:
    """End a step whose call was cut because its run is being cancelled."""
    attempt = fence(state, lease_id)
    if state.run.status is not RunStatus.CANCELLING:
        raise LeaseLostError(state.step.step_id, lease_id)
    change = Change(attempts=(replace(attempt, phase=Phase.CLOSED, error="cancelled"),))
    return _joined(change, _ended(state, _cancelled(state.step), (), now_ms))


def _run(state: RunState) -> Run:
    if state.run is None:
        raise IllegalTransitionError("there is no such run")
    return state.run


def _running(run: Run, now_ms: int) -> Run | None:
    if run.status is RunStatus.RUNNING:
        return None
    started = run.started_at if run.started_at is not None else now_ms
    return replace(run, status=RunStatus.RUNNING, started_at=started, updated_at=now_ms)


def _waiting(run: Run, step: Step, now_ms: int) -> Change:
    due = now_ms + backoff_ms(run, step.attempt)
    facts = {"attempt": step.attempt, "error": step.error, "next_run_at": due, "step_id": step.step_id}
    return Change(
        run=replace(run, updated_at=now_ms),
        steps=(replace(step, status=StepStatus.RETRY_WAIT, next_run_at=due),),
        run_events=(_event(run, "STEP_RETRY_WAIT", facts, now_ms),),
    )


def _dead_lettered(state: EndingState, now_ms: int) -> Change:
    """A step that took its worker down again and again would never stop doing so."""
    reason = f"gave up after {state.step.recoveries} lost workers"
    step = replace(_let_go(state.step), status=StepStatus.FAILED, error=reason)
    facts = {"attempt": step.attempt, "error": reason, "recoveries": step.recoveries, "step_id": step.step_id}
    events = (
        _event(state.run, "STEP_DEAD_LETTERED", facts, now_ms),
        _completed(state.run, step, now_ms),
    )
    attempts = () if state.attempt is None else (replace(state.attempt, phase=Phase.CLOSED, error=reason),)
    return _joined(Change(attempts=attempts), _ended(state, step, events, now_ms))


def _ended(state: EndingState, step: Step, events: Iterable[RunEvent], now_ms: int) -> Change:
    """The step has come to an end; if it was the last active one, so has the round."""
    run = replace(state.run, updated_at=now_ms)
    change = Change(run=run, steps=(step,), run_events=tuple(events))
    if (whole := state.last_of) is None:
        return change
    steps = tuple(step if other.step_id == step.step_id else other for other in whole.steps)
    return _joined(change, finish(run, steps, whole.reexplores, now_ms))


def _joined(first: Change, then: Change) -> Change:
    """Both changes as one; where both name a row, the later one stands."""
    steps = {step.step_id: step for step in (*first.steps, *then.steps)}
    return Change(
        run=then.run or first.run,
        steps=tuple(steps.values()),
        attempts=first.attempts + then.attempts,
        run_events=first.run_events + then.run_events,
        task_events=first.task_events + then.task_events,
    )


def _completed(run: Run, step: Step, now_ms: int) -> RunEvent:
    facts = {
        "attempt": step.attempt,
        "error": step.error,
        "status": step.status.value,
        "step_id": step.step_id,
        "task_id": step.task_id,
    }
    subject = output_digest(step.result) if step.status is StepStatus.SUCCEEDED else None
    return RunEvent(run.run_id, "STEP_COMPLETED", facts, now_ms, subject=subject)


def _event(run: Run, event_type: str, payload: dict[str, Json], now_ms: int) -> RunEvent:
    return RunEvent(run.run_id, event_type, payload, now_ms)


def _held(step: Step, lease: Lease) -> Step:
    return replace(
        step,
        status=StepStatus.LEASED,
        lease_id=lease.lease_id,
        lease_owner=lease.owner,
        lease_holder=lease.holder,
    )


def _let_go(step: Step) -> Step:
    return replace(step, lease_id=None, lease_owner=None, lease_holder=None)


def _queued(step: Step, now_ms: int) -> Step:
    return replace(_let_go(step), status=StepStatus.QUEUED, next_run_at=now_ms)


def _cancelled(step: Step) -> Step:
    return replace(_let_go(step), status=StepStatus.CANCELLED)
