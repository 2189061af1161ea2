"""Slots, the queue before them, and lanes that bound one handler."""

from __future__ import annotations

import anyio
import pytest

from executor_sdk.errors import SaturatedError
from executor_sdk.executions.admission import Admission, Lane, Ticket

pytestmark = pytest.mark.anyio

ANY = Lane("any")


async def test_slots_are_taken_then_places_then_nothing() -> None:
    """Who may enter is told beforehand, too."""
    admission = Admission(slots=1, queue=1)
    room = [admission.has_room(ANY)]
    first = admission.enter(ANY)
    room.append(admission.has_room(ANY))
    second = admission.enter(ANY)
    room.append(admission.has_room(ANY))

    assert (first.holds_slot, second.holds_slot, room) == (True, False, [True, True, False])
    assert (admission.running, admission.waiting) == (1, 1)
    with pytest.raises(SaturatedError):
        admission.enter(ANY)


async def test_a_slot_goes_to_whoever_waited_longest() -> None:
    """First come, first served."""
    admission, served = Admission(slots=1, queue=3), list[int]()
    first = admission.enter(ANY)

    async def wait(number: int, ticket: Ticket) -> None:
        await ticket.slot()
        served.append(number)
        ticket.leave()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(wait, number, admission.enter(ANY))
            await anyio.wait_all_tasks_blocked()
            first.leave()

    assert served == [0, 1, 2]
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_place_is_given_back_once() -> None:
    """In the queue as well as in a slot."""
    admission = Admission(slots=1, queue=1)
    first, second = admission.enter(ANY), admission.enter(ANY)

    for ticket in (second, second, first, first):
        ticket.leave()

    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_lane_at_its_limit_does_not_hold_up_others() -> None:
    """The free slot goes to the next who may take it."""
    admission, slow = Admission(slots=2, queue=2), Lane("slow", 1)
    holding, waiting = admission.enter(slow), admission.enter(slow)
    passing = admission.enter(ANY)

    assert (waiting.holds_slot, passing.holds_slot) == (False, True)
    passing.leave()
    assert not waiting.holds_slot
    holding.leave()
    assert waiting.holds_slot
