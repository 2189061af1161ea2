"""Claiming inside one transaction: steps of dead workers are resumed first, then due steps are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kernel_stub.errors import StepNotFoundError, UnreadableRowError
from kernel_stub.rules import run as rules
from kernel_stub.rules.records import Change, StepStatus
from kernel_stub.rules.states import EndingState, Lease, StepState
from kernel_stub.store.database import Transaction
from kernel_stub.store.session import Session

#: Steps of one dead worker that one claim looks at.
_MAX_LEFT: Final = 1_000

#: How often one claim looks for more, where steps that it found could not be held.
_MAX_LOOKS: Final = 16

#: What a row can make of a rule that never saw its like; errors of the database are others.
_UNREADABLE: Final = (
    UnreadableRowError, StepNotFoundError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip

Rule: TypeAlias = Callable[[EndingState], Change]


@dataclass(frozen=True, slots=True)
class ClaimOrder:
    """Who wants how many steps, and of which executors."""

    #: The worker's name, as events tell it.
    owner: str
    #: The id under which the store knows whether the worker lives.
    holder: str
    #: Places for steps of executors that answer.
    places: int
    now_ms: int
    max_recoveries: int
    #: Places for steps of executors that do not answer: one for each executor, whose step is the probe.
    probes: int = 0
    #: Steps that one executor may have in flight, and those that it has.
    per_executor: int = 1_000_000
    in_flight: Mapping[str, int] = field(default_factory=dict)
    #: The executors that answer; None for all.
    answering: frozenset[str] | None = None


class Claiming:
    """One claim within the transaction of `session`."""

    def __init__(
        self,
        session: Session,
        transaction: Transaction,
        order: ClaimOrder,
        *,
        new_id: Callable[[], str],
        is_alive: Callable[[str], bool],
    ) -> None:
        self._session = session
        self._run = transaction.run
        self._order = order
        self._new_id = new_id
        self._is_alive = is_alive
        self._in_flight = dict(order.in_flight)
        self._places, self._probes = order.places, order.probes

    def held(self) -> list[StepState]:
        """The steps that the worker holds now, each with its attempt."""
        held: list[StepState] = []
        self._take(held, self._left(), self._resumed)
        # What could not be held was set aside or has ended: the next step may have its place.
        for _ in range(_MAX_LOOKS):
            if self._take(held, self._due(), self._claimed):
                break
        return held

    def _take(self, held: list[StepState], found: Iterable[tuple[str, str]], rule: Rule) -> bool:
        """Take steps while there is room; whether each of those could be held."""
        all_held = True
        for step_id, executor in found:
            if not self._room(executor):
                continue
            if (state := self._saved(step_id, rule)) is None:
                all_held = False
            else:
                held.append(state)
                self._take_place(executor)
        return all_held

    def _left(self) -> list[tuple[str, str]]:
        """Steps and their executors, left by workers that are dead or have handed them back."""
        left: list[tuple[str, str]] = []
        for (holder,) in self._run("list_holders"):
            if holder != self._order.holder and not (holder and self._is_alive(holder)):
                left += [(step_id, name) for step_id, name in self._run("find_left", holder=holder, limit=_MAX_LEFT)]
        return left

    def _due(self) -> list[tuple[str, str]]:
        """The next steps and their executors: by priority, then by the time at which they became due."""
        if not (self._places > 0 or self._probes > 0):
            return []
        self._run("make_due", now_ms=self._order.now_ms)
        found = [
            (*row, executor)
            for (executor,) in self._run("executors_with_work")
            if (room := self._room(executor))
            for row in self._run("find_due", executor=executor, limit=room)
        ]
        return [(step_id, executor) for *_, step_id, executor in sorted(found)]

    def _room(self, executor: str) -> int:
        """How many more steps of this executor may be taken."""
        in_flight = self._in_flight.get(executor, 0)
        if self._answers(executor):
            return max(0, min(self._places, self._order.per_executor - in_flight))
        return max(0, min(self._probes, 1 - in_flight))

    def _take_place(self, executor: str) -> None:
        self._in_flight[executor] = self._in_flight.get(executor, 0) + 1
        if self._answers(executor):
            self._places -= 1
        else:
            self._probes -= 1

    def _answers(self, executor: str) -> bool:
        return self._order.answering is None or executor in self._order.answering

    def _saved(self, step_id: str, rule: Rule) -> StepState | None:
        """The step as it is held now; None if it is not, or its run cannot be read: the other steps are claimed."""
        try:
            state = self._session.ending_state(step_id)
            change = rule(state)
            self._session.save(state.run, change)
        except _UNREADABLE as error:
            self._session.set_aside(step_id, str(error) or type(error).__name__, self._order.now_ms)
            return None
        step = next(step for step in change.steps if step.step_id == step_id)
        if step.status is not StepStatus.LEASED:
            return None
        attempt = change.attempts[0] if change.attempts else state.attempt
        return StepState(change.run or state.run, step, attempt, state.task_events)

    def _resumed(self, state: EndingState) -> Change:
        order = self._order
        return rules.resume(state, self._lease(), now_ms=order.now_ms, max_recoveries=order.max_recoveries)

    def _claimed(self, state: EndingState) -> Change:
        return rules.claim(
            state,
            self._lease(),
            execution_id=f"exec-p-{self._new_id()}",
            verify_execution_id=f"exec-v-{self._new_id()}",
            now_ms=self._order.now_ms,
        )

    def _lease(self) -> Lease:
        return Lease(self._new_id(), self._order.owner, self._order.holder)
