"""Claiming inside one transaction: steps of dead workers are resumed first, then due steps are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kernel_stub.errors import StepNotFoundError, UnreadableRowError
from kernel_stub.rules import run as rules
from kernel_stub.rules.records import Change, StepStatus
from kernel_stub.rules.states import EndingState, Lease, StepState
from kernel_stub.store.database import Connection
from kernel_stub.store.session import Session

#: Steps of one dead worker that one claim looks at.
_MAX_LEFT: Final = 1_000

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
    limit: int
    now_ms: int
    max_recoveries: int
    #: Steps of one executor that may be in flight, and those that are.
    per_executor: int = 1_000_000
    in_flight: Mapping[str, int] = field(default_factory=dict)
    #: Executors that are to be given nothing at the moment.
    closed: frozenset[str] = frozenset()


class Claim:
    """One claim within the transaction of `session`."""

    def __init__(
        self,
        session: Session,
        connection: Connection,
        order: ClaimOrder,
        *,
        new_id: Callable[[], str],
        is_alive: Callable[[str], bool],
    ) -> None:
        self._session = session
        self._run = connection.run
        self._order = order
        self._new_id = new_id
        self._is_alive = is_alive
        self._taken = dict(order.in_flight)

    def held(self) -> list[StepState]:
        """The steps that the worker holds now, each with its attempt."""
        held: list[StepState] = []
        # What could not be resumed was queued again, cancelled or given up: it takes no place.
        for step_id, executor in self._left():
            if len(held) < self._order.limit and self._room(executor):
                held += self._saved(step_id, executor, self._resumed)
        for step_id, executor in self._due(self._order.limit - len(held)):
            held += self._saved(step_id, executor, self._claimed)
        return held

    def _left(self) -> Iterator[tuple[str, str]]:
        """Steps and their executors, left by workers that are dead or have handed them back."""
        for (holder,) in self._run("list_holders"):
            if holder != self._order.holder and not (holder and self._is_alive(holder)):
                yield from self._run("find_left", holder=holder, limit=_MAX_LEFT)

    def _due(self, limit: int) -> Iterable[tuple[str, str]]:
        """The next steps and their executors: by priority, then by the time at which they became due."""
        if limit <= 0:
            return []
        self._run("make_due", now_ms=self._order.now_ms)
        found = [
            (*row, executor)
            for (executor,) in self._run("executors_with_work")
            if (room := self._room(executor))
            for row in self._run("find_due", executor=executor, limit=min(room, limit))
        ]
        return [(step_id, executor) for *_, step_id, executor in sorted(found)[:limit]]

    def _room(self, executor: str) -> int:
        if executor in self._order.closed:
            return 0
        return max(0, self._order.per_executor - self._taken.get(executor, 0))

    def _saved(self, step_id: str, executor: str, rule: Rule) -> list[StepState]:
        """The step as it is held now; none if it is not, or its run cannot be read: the other steps are claimed."""
        try:
            state = self._session.ending_state(step_id)
            change = rule(state)
            self._session.save(state.run, change)
        except _UNREADABLE as error:
            self._session.set_aside(step_id, str(error) or type(error).__name__, self._order.now_ms)
            return []
        step = next(step for step in change.steps if step.step_id == step_id)
        if step.status is not StepStatus.LEASED:
            return []
        self._taken[executor] = self._taken.get(executor, 0) + 1
        attempt = change.attempts[0] if change.attempts else state.attempt
        return [StepState(change.run or state.run, step, attempt, state.task_events)]

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
