"""The transitions of runs and steps, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from msgspec.structs import replace

from kernel_stub.errors import IllegalTransitionError, LeaseLostError
from kernel_stub.rules import run as rules
from kernel_stub.rules.records import TERMINAL_RUN, TERMINAL_STEP, Attempt, Change, Phase, RunStatus, Step, StepStatus
from kernel_stub.rules.spec import new_run, parse_spec
from kernel_stub.rules.states import EndingState, Lease, RunState

NOW: Final = 1_000
LEASE: Final = Lease("lease-1", "w", "holder-1")
RESULT: Final = {"candidate_output": {"answer": "yes", "decision": "go"}}


def made(agents: int = 2, **extra: Any) -> RunState:
    """A run that was just submitted."""
    run, steps = new_run(
        parse_spec(
            {
                "run_id": "r",
                "agents": [{"agent_id": f"a{n}", "executor": "x", "prompt": "p"} for n in range(agents)],
                "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
                **extra,
            }
        ),
        1,
    )
    return RunState(run, steps)


def after(state: RunState, change: Change) -> RunState:
    """The state with the change written."""
    changed = {step.step_id: step for step in change.steps}
    return replace(
        state, run=change.run or state.run, steps=tuple(changed.get(step.step_id, step) for step in state.steps)
    )


def of_step(state: RunState, index: int = 0, attempt: Attempt | None = None) -> EndingState:
    """What a decision about one step sees of this run."""
    assert state.run is not None
    step = state.steps[index]
    last = all(other.status in TERMINAL_STEP for other in state.steps if other is not step)
    return EndingState(state.run, step, attempt, (), state if last else None)


def claimed(state: RunState, index: int = 0) -> tuple[RunState, Attempt]:
    """The run with one step leased."""
    change = rules.claim(of_step(state, index), LEASE, execution_id="p", verify_execution_id="v", now_ms=NOW)
    return after(state, change), change.attempts[0]


def types(change: Change) -> list[str]:
    """Types of the run events, in order."""
    return [event.event_type for event in change.run_events]


def statuses(state: RunState) -> list[str]:
    """States of the steps, in order."""
    return [step.status.value for step in state.steps]


def test_a_kickoff_queues_what_waits_and_starts_the_clock() -> None:
    """Steps that ended stay as they are."""
    state = made(3)
    done = replace(state.steps[2], status=StepStatus.SUCCEEDED)
    waiting = replace(state.steps[1], status=StepStatus.RETRY_WAIT, next_run_at=9_999)
    state = replace(state, steps=(state.steps[0], waiting, done))

    change = rules.kickoff(state, NOW)

    assert statuses(after(state, change)) == ["QUEUED", "QUEUED", "SUCCEEDED"]
    assert {step.next_run_at for step in change.steps} == {NOW}
    assert change.run is not None
    assert (change.run.status, change.run.started_at) == (RunStatus.QUEUED, NOW)
    assert types(change) == ["RUN_KICKOFF"]


@pytest.mark.parametrize("status", [*TERMINAL_RUN, RunStatus.CANCELLING])
def test_a_kickoff_of_a_run_that_is_over_changes_nothing(status: RunStatus) -> None:
    """It is no error either."""
    state = made()
    assert state.run is not None

    assert rules.kickoff(replace(state, run=replace(state.run, status=status)), NOW) == Change()


def test_a_cancel_stops_what_waits_and_leaves_what_runs() -> None:
    """The run is over once the leased step is."""
    state = after(made(), rules.kickoff(made(), NOW))
    state, attempt = claimed(state)

    change = rules.cancel(state, NOW)
    cancelling = after(state, change)
    ended = rules.succeed(of_step(cancelling, attempt=attempt), "lease-1", RESULT, (), NOW)

    assert statuses(cancelling) == ["LEASED", "CANCELLED"]
    assert (types(change), types(ended)) == (["RUN_CANCEL_REQUESTED"], ["STEP_COMPLETED", "RUN_FINALIZED"])
    assert ended.run is not None
    assert ended.run.status is RunStatus.CANCELLED


def test_a_cancel_before_any_claim_ends_the_run_at_once() -> None:
    """Nobody is left to end it."""
    change = rules.cancel(made(), NOW)

    assert change.run is not None
    assert (change.run.status, change.run.finished_at) == (RunStatus.CANCELLED, NOW)
    assert types(change) == ["RUN_CANCEL_REQUESTED", "RUN_FINALIZED"]


def test_a_cancel_of_a_run_that_is_over_is_only_noted() -> None:
    """As in the kernel."""
    state = made()
    assert state.run is not None

    change = rules.cancel(replace(state, run=replace(state.run, status=RunStatus.FINALIZED)), NOW)

    assert (change.run, change.steps, types(change)) == (None, (), ["RUN_CANCEL_REQUESTED"])


def test_a_failing_step_of_a_cancelled_run_is_not_tried_again() -> None:
    """It ends cancelled, and the run with it."""
    state, attempt = claimed(after(made(1), rules.kickoff(made(1), NOW)))
    state = after(state, rules.cancel(state, NOW))

    change = rules.fail(of_step(state, attempt=attempt), "lease-1", "no", final=False, now_ms=NOW)

    assert [step.status for step in change.steps] == [StepStatus.CANCELLED]
    assert change.run is not None
    assert change.run.status is RunStatus.CANCELLED


def test_a_step_that_was_cut_ends_only_if_its_run_is_cancelled() -> None:
    """Otherwise it was taken over: whoever let go of it writes nothing."""
    state, attempt = claimed(after(made(1), rules.kickoff(made(1), NOW)))
    with pytest.raises(LeaseLostError):
        rules.abandon(of_step(state, attempt=attempt), "lease-1", NOW)

    cancelling = after(state, rules.cancel(state, NOW))
    change = rules.abandon(of_step(cancelling, attempt=attempt), "lease-1", NOW)

    assert change.attempts == (replace(attempt, phase=Phase.CLOSED, error="cancelled"),)
    assert change.run is not None
    assert change.run.status is RunStatus.CANCELLED


def test_a_retry_queues_what_failed_and_counts_attempts_on() -> None:
    """The run is open again; without anything to retry it stays closed."""
    state, attempt = claimed(after(made(1), rules.kickoff(made(1), NOW)))
    state = after(state, rules.fail(of_step(state, attempt=attempt), "lease-1", "no", final=True, now_ms=NOW))
    assert state.run is not None
    assert (state.run.status, statuses(state)) == (RunStatus.FAILED, ["FAILED"])

    change = rules.retry(state, NOW)
    again, _ = claimed(after(state, change))

    assert change.run is not None
    assert (change.run.status, change.run.finished_at, change.run.result) == (RunStatus.QUEUED, None, {})
    assert change.run_events[0].payload == {"run_id": "r", "steps_requeued": 1}
    assert again.steps[0].attempt == 2
    finalized = replace(state, run=replace(state.run, status=RunStatus.FINALIZED), steps=())
    assert rules.retry(finalized, NOW).run is None


@pytest.mark.parametrize("status", [RunStatus.CANCELLED, RunStatus.CANCELLING])
def test_a_cancelled_run_cannot_be_retried(status: RunStatus) -> None:
    """The kernel's sentence."""
    state = made()
    assert state.run is not None

    with pytest.raises(IllegalTransitionError, match=r"^run is cancelled, cannot retry: r$"):
        rules.retry(replace(state, run=replace(state.run, status=status)), NOW)


def test_attempts_back_off_until_none_is_left() -> None:
    """The wait doubles; the last failure ends the step."""
    state = made(1, retry={"max_attempts": 3, "backoff_ms": 300})
    state = after(state, rules.kickoff(state, NOW))
    waits: list[int] = []
    for _ in range(3):
        state, attempt = claimed(state)
        change = rules.fail(of_step(state, attempt=attempt), "lease-1", "no", final=False, now_ms=NOW)
        state = after(state, change)
        waits.append(state.steps[0].next_run_at - NOW)

    assert waits[:2] == [300, 600]
    assert statuses(state) == ["FAILED"]
    assert types(change) == ["STEP_COMPLETED", "RUN_FINALIZED"]
    assert change.run_events[0].payload["status"] == "FAILED"


def test_a_final_failure_leaves_no_further_attempt() -> None:
    """A 4xx is the executor's last word."""
    state, attempt = claimed(after(made(1), rules.kickoff(made(1), NOW)))

    change = rules.fail(of_step(state, attempt=attempt), "lease-1", "no", final=True, now_ms=NOW)

    assert [step.status for step in change.steps] == [StepStatus.FAILED]


@pytest.mark.parametrize("lease_id", ["lease-2", ""])
def test_a_lost_lease_changes_nothing(lease_id: str) -> None:
    """Whatever a late worker wants to write."""
    state, attempt = claimed(after(made(1), rules.kickoff(made(1), NOW)))
    late = of_step(state, attempt=attempt)

    writes: tuple[Callable[[], Change], ...] = (
        lambda: rules.advance(late, lease_id, attempt, ()),
        lambda: rules.succeed(late, lease_id, RESULT, (), NOW),
        lambda: rules.fail(late, lease_id, "no", final=True, now_ms=NOW),
        lambda: rules.abandon(late, lease_id, NOW),
    )
    for write in writes:
        with pytest.raises(LeaseLostError, match="of step r:a0 is lost"):
            write()


def test_a_settled_step_keeps_no_lease() -> None:
    """Nobody can lose it any more."""
    state, attempt = claimed(after(made(), rules.kickoff(made(), NOW)))

    change = rules.succeed(of_step(state, attempt=attempt), "lease-1", RESULT, (), NOW)

    step: Step = change.steps[0]
    assert (step.lease_id, step.lease_owner, step.lease_holder) == (None, None, None)
    assert types(change) == ["STEP_COMPLETED"]
    assert change.attempts[0].phase is Phase.CLOSED


@pytest.mark.parametrize("turned_down", [True, False])
def test_an_attempt_after_one_that_was_turned_down_asks_for_new_work(turned_down: bool) -> None:
    """The executor cannot know what another one said of its candidate."""
    state, attempt = claimed(after(made(1), rules.kickoff(made(1), NOW)))
    failed = rules.fail(
        of_step(state, attempt=attempt), "lease-1", "no", final=False, now_ms=NOW, turned_down=turned_down
    )
    state = after(state, failed)

    change = rules.claim(
        of_step(state, attempt=failed.attempts[0]), LEASE, execution_id="p2", verify_execution_id="v2", now_ms=NOW
    )

    assert (attempt.new_work, change.attempts[0].new_work) == (False, turned_down)
