"""Claiming inside one transaction: expired leases are resumed first, then due steps are taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from kernel_stub.rules import run as rules
from kernel_stub.rules.records import Change, StepStatus
from kernel_stub.rules.states import Lease, StepState
from kernel_stub.store.session import Session


@dataclass(frozen=True, slots=True)
class ClaimOrder:
    """Who wants how many steps, and for how long."""

    owner: str
    limit: int
    now_ms: int
    lease_ms: int
    max_recoveries: int
    #: Makes the fresh ids of leases and executions.
    new_id: Callable[[], str]


def claim(session: Session, order: ClaimOrder) -> list[StepState]:
    """The steps that are now held by the owner, each with its attempt."""
    taken = [_resumed(session, order, step_id) for step_id in session.expired(order.now_ms, order.limit)]
    # What could not be resumed was queued again, cancelled or given up: it takes no place.
    held = [state for state in taken if state is not None]
    if (room := order.limit - len(held)) > 0:
        fresh = (_claimed(session, order, step_id) for step_id in session.due(order.now_ms, room))
        held += [state for state in fresh if state is not None]
    return held


def _resumed(session: Session, order: ClaimOrder, step_id: str) -> StepState | None:
    state = session.step_state(step_id)
    change = rules.resume(state, _lease(order), now_ms=order.now_ms, max_recoveries=order.max_recoveries)
    return _saved(session, state, change)


def _claimed(session: Session, order: ClaimOrder, step_id: str) -> StepState | None:
    state = session.step_state(step_id)
    change = rules.claim(
        state,
        _lease(order),
        execution_id=f"exec-p-{order.new_id()}",
        verify_execution_id=f"exec-v-{order.new_id()}",
        now_ms=order.now_ms,
    )
    return _saved(session, state, change)


def _lease(order: ClaimOrder) -> Lease:
    return Lease(order.new_id(), order.owner, order.now_ms + order.lease_ms)


def _saved(session: Session, state: StepState, change: Change) -> StepState | None:
    """Save, and show the step as it is held now; None if it is not."""
    session.save(state.run, change)
    step = next(step for step in change.steps if step.step_id == state.step.step_id)
    if step.status is not StepStatus.LEASED:
        return None
    attempt = change.attempts[0] if change.attempts else state.attempt
    return replace(state, run=change.run or state.run, step=step, attempt=attempt)
