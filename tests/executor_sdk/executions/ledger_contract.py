"""The contract of the ledger port, subclassed once for each store."""

from __future__ import annotations

import anyio
import pytest

from executor_sdk.errors import BodyDiffersError, SaturatedError, TaskLostError
from executor_sdk.executions.ledger import Ledger, StepBusyError
from executor_sdk.executions.record import MAX_ASKS, RECORD_BYTES, Ask, Keep, Key, Outcome, State, StepAttempt, Work

NOW = 1_000_000
ANSWER = Outcome(200, b'{"candidate_output":1}', ((b"x-note", b"1"),))
EVERYTHING = Keep(count=1_000, total_bytes=1_000_000, age_ms=1_000_000)


def key_of(name: str = "exec-1", *, caller: str = "") -> Key:
    """The key of an ask of `/execute`."""
    return (caller, "execute", name)


def make_ask(
    name: str = "exec-1",
    *,
    body: bytes = b"body",
    step: StepAttempt | None = None,
    caller: str = "",
    wants_new_work: bool = False,
) -> Ask:
    """An ask of `/execute`."""
    return Ask(key_of(name, caller=caller), body, step, wants_new_work)


def make_work(
    ledger: Ledger,
    work_id: str = "work-1",
    *,
    step: StepAttempt | None = None,
    state: State = State.QUEUED,
    opened_ms: int = NOW,
) -> Work:
    """New work of this process, as it is opened."""
    return Work(work_id, step, state, ledger.owner, opened_ms, None if state is State.QUEUED else opened_ms)


def attempt(number: int, step: str = "s") -> StepAttempt:
    """An attempt at a step."""
    return StepAttempt(step.encode(), number)


class LedgerContract:
    """What every ledger does."""

    async def test_an_unknown_ask_has_no_work(self, ledger: Ledger) -> None:
        """Joining finds nothing before anything was opened."""
        assert await ledger.join(make_ask()) is None
        assert await ledger.find(key_of("exec-1")) is None

    async def test_the_first_ask_opens_and_a_copy_joins(self, ledger: Ledger) -> None:
        """The copy gets the work of the first and opens none."""
        created, work = await ledger.open(make_ask(), make_work(ledger))
        again, joined = await ledger.open(make_ask(), make_work(ledger, "work-2"))

        assert (created, again) == (True, False)
        assert work.work_id == joined.work_id == "work-1"
        assert await ledger.join(make_ask()) == work

    async def test_the_task_type_of_work_is_on_record(self, ledger: Ledger) -> None:
        """A verifier is chosen by it."""
        new = make_work(ledger)
        new.task_type = "forecast"
        await ledger.open(make_ask(), new)

        found = await ledger.find(key_of())

        assert found is not None
        assert found.task_type == "forecast"

    async def test_opens_at_once_make_one_work(self, ledger: Ledger) -> None:
        """Of many opens that race, one creates."""
        created = []

        async def open_one(number: int) -> None:
            made, work = await ledger.open(make_ask(), make_work(ledger, f"work-{number}"))
            created.append((made, work.work_id))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(open_one, number)

        assert sorted(made for made, _ in created) == [False] * 7 + [True]
        assert len({work_id for _, work_id in created}) == 1

    async def test_another_body_under_the_same_id_is_refused(self, ledger: Ledger) -> None:
        """The first body keeps the id, for joining and for opening."""
        await ledger.open(make_ask(), make_work(ledger))

        with pytest.raises(BodyDiffersError):
            await ledger.join(make_ask(body=b"other"))
        with pytest.raises(BodyDiffersError):
            await ledger.open(make_ask(body=b"other"), make_work(ledger, "work-2"))

    async def test_finished_work_is_replayed_to_the_byte(self, ledger: Ledger) -> None:
        """Status, body and headers come back as they were recorded."""
        await ledger.open(make_ask(), make_work(ledger))
        assert await ledger.start("work-1", NOW + 1)
        await ledger.end("work-1", State.ANSWERED, ANSWER, NOW + 2)

        work = await ledger.join(make_ask())

        assert work is not None
        assert (work.state, work.outcome) == (State.ANSWERED, ANSWER)
        assert (work.opened_ms, work.started_ms, work.ended_ms) == (NOW, NOW + 1, NOW + 2)

    async def test_the_first_end_wins(self, ledger: Ledger) -> None:
        """A late end changes nothing and returns what stands."""
        await ledger.open(make_ask(), make_work(ledger))
        await ledger.start("work-1", NOW)
        await ledger.end("work-1", State.CANCELLED, None, NOW + 1)

        late = await ledger.end("work-1", State.ANSWERED, ANSWER, NOW + 2)

        assert late is not None
        assert (late.state, late.outcome) == (State.CANCELLED, None)

    async def test_work_starts_once(self, ledger: Ledger) -> None:
        """A second start is refused."""
        await ledger.open(make_ask(), make_work(ledger))

        assert await ledger.start("work-1", NOW)
        assert not await ledger.start("work-1", NOW)

    async def test_a_later_attempt_adopts_running_work(self, ledger: Ledger) -> None:
        """Another attempt at the same step joins; another step and a task by hand do not."""
        await ledger.open(make_ask("exec-2", step=attempt(2)), make_work(ledger, step=attempt(2)))

        adopted = await ledger.join(make_ask("exec-3", body=b"other", step=attempt(3)))

        assert adopted is not None
        assert adopted.work_id == "work-1"
        assert await ledger.join(make_ask("exec-9", step=attempt(3, "t"))) is None
        assert await ledger.join(make_ask("exec-8")) is None

    async def test_an_attempt_that_comes_late_adopts_too(self, ledger: Ledger) -> None:
        """Its request lay in a stopped process while the next attempt was answered: no reason to do the work again."""
        await ledger.open(make_ask("exec-2", step=attempt(2)), make_work(ledger, step=attempt(2)))
        await ledger.start("work-1", NOW)
        running = await ledger.join(make_ask("exec-1", step=attempt(1)))
        await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)

        done = await ledger.join(make_ask("exec-1", step=attempt(1)))

        assert running is not None
        assert done is not None
        assert (running.work_id, done.outcome) == ("work-1", ANSWER)

    async def test_who_lost_adopted_work_takes_what_others_opened_since(self, ledger: Ledger) -> None:
        """A copy of an attempt whose adopted work was cut: the step's next start was somebody else's already."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.start("work-1", NOW)
        await ledger.join(make_ask("exec-2", step=attempt(2)))
        await ledger.end("work-1", State.LOST, None, NOW)
        await ledger.open(make_ask("exec-3", step=attempt(3)), make_work(ledger, "work-2", step=attempt(3)))

        again = await ledger.join(make_ask("exec-2", step=attempt(2)))
        opener = await ledger.join(make_ask("exec-1", step=attempt(1)))

        assert again is not None
        assert again.work_id == "work-2"
        assert opener is not None
        assert (opener.work_id, opener.state) == ("work-1", State.LOST)

    async def test_a_success_is_adopted_until_it_is_turned_down(self, ledger: Ledger) -> None:
        """Also after its answer went out: an answer that was heard is not an answer that counted."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.start("work-1", NOW)
        await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)
        await ledger.answered([key_of("exec-1")])

        adopted = await ledger.join(make_ask("exec-2", body=b"other", step=attempt(2)))
        unwilling = await ledger.join(make_ask("exec-3", body=b"third", step=attempt(3), wants_new_work=True))
        await ledger.turn_down(key_of("exec-2"))

        assert adopted is not None
        assert adopted.outcome == ANSWER
        assert unwilling is None
        assert await ledger.join(make_ask("exec-4", body=b"fourth", step=attempt(4))) is None
        assert await ledger.join(make_ask("exec-2", body=b"other", step=attempt(2))) is not None

    async def test_a_refusal_is_handed_on_until_somebody_has_heard_it(self, ledger: Ledger) -> None:
        """Then the new attempt is the other try."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.end("work-1", State.FAILED, Outcome(422, b"{}"), NOW)
        assert await ledger.join(make_ask("exec-2", step=attempt(2))) is not None

        await ledger.answered([key_of("exec-2")])

        assert await ledger.join(make_ask("exec-3", step=attempt(3))) is None

    async def test_a_callers_ids_are_its_own(self, ledger: Ledger) -> None:
        """The same id of another caller is unknown, whatever its body."""
        await ledger.open(make_ask(caller="one"), make_work(ledger))

        assert await ledger.join(make_ask(caller="two", body=b"other")) is None
        assert await ledger.find(key_of(caller="two")) is None

    async def test_nothing_new_starts_for_a_step_whose_last_work_is_busy(self, ledger: Ledger) -> None:
        """A thread outlived its work: copies of the failed attempt hear it, the next attempt waits until it rests."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.end("work-1", State.FAILED, Outcome(504, b"{}"), NOW, busy=True)
        later = make_ask("exec-2", step=attempt(2))

        copy = await ledger.join(make_ask("exec-1", step=attempt(1)))
        with pytest.raises(StepBusyError):
            await ledger.join(later)
        with pytest.raises(StepBusyError):
            await ledger.open(later, make_work(ledger, "work-2", step=attempt(2)))
        await ledger.rest("work-1")

        assert copy is not None
        assert await ledger.join(later) is None

    async def test_a_failure_worth_another_try_is_not_adopted(self, ledger: Ledger) -> None:
        """A new attempt after an unsent 5xx is the other try; an unsent refusal is handed on."""
        for number, status in ((1, 503), (2, 422)):
            step = attempt(1, f"s{number}")
            await ledger.open(make_ask(f"exec-{number}", step=step), make_work(ledger, f"work-{number}", step=step))
            await ledger.end(f"work-{number}", State.FAILED, Outcome(status, b"{}"), NOW)

        assert await ledger.join(make_ask("exec-3", step=attempt(2, "s1"))) is None
        assert await ledger.join(make_ask("exec-4", step=attempt(2, "s2"))) is not None

    async def test_cut_work_that_never_started_is_opened_anew(self, ledger: Ledger) -> None:
        """At most one start for each execution id: none yet, so another may follow."""
        await ledger.open(make_ask(), make_work(ledger))
        await ledger.end("work-1", State.LOST, None, NOW)

        assert await ledger.join(make_ask()) is None
        created, work = await ledger.open(make_ask(), make_work(ledger, "work-2"))
        assert created
        assert work.work_id == "work-2"

    async def test_cut_work_that_started_is_not_opened_anew(self, ledger: Ledger) -> None:
        """Its own ask had its start; an ask that had adopted it did not."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.start("work-1", NOW)
        await ledger.join(make_ask("exec-2", step=attempt(2)))
        await ledger.end("work-1", State.LOST, None, NOW)

        lost = await ledger.join(make_ask("exec-1", step=attempt(1)))

        assert lost is not None
        assert lost.state is State.LOST
        assert await ledger.join(make_ask("exec-2", step=attempt(2))) is None

    async def test_a_verify_body_is_a_new_question_once_answered(self, ledger: Ledger) -> None:
        """It joins and replays until its answer went out; cut work of it may start again."""
        ask = Ask(("", "verify", "digest"), b"body")
        await ledger.open(ask, make_work(ledger))
        await ledger.start("work-1", NOW)
        assert await ledger.join(ask) is not None
        await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)
        assert await ledger.join(ask) is not None

        await ledger.answered([ask.key])

        assert await ledger.join(ask) is None
        await ledger.open(ask, make_work(ledger, "work-2"))
        await ledger.start("work-2", NOW)
        await ledger.end("work-2", State.LOST, None, NOW)
        assert await ledger.join(ask) is None

    @pytest.mark.parametrize(
        ("state", "outcome", "is_over"),
        [
            (State.ANSWERED, ANSWER, True),
            (State.FAILED, Outcome(422, b"no"), True),
            (State.FAILED, Outcome(503, b"later"), False),
            (State.LOST, None, False),
        ],
    )
    async def test_an_event_is_over_once_it_ended_well_or_for_good(
        self, ledger: Ledger, state: State, outcome: Outcome | None, is_over: bool
    ) -> None:
        """Whoever is told to send it again means another try, also one who has not heard it."""
        ask = Ask(("", "event", "event e"), b"body")
        await ledger.open(ask, make_work(ledger, state=State.RUNNING))
        await ledger.end("work-1", state, outcome, NOW)

        assert (await ledger.join(ask) is not None) is is_over
        await ledger.answered([ask.key])
        created, work = await ledger.open(ask, make_work(ledger, "work-2", state=State.RUNNING))

        assert (created, work.work_id) == ((False, "work-1") if is_over else (True, "work-2"))
        assert await ledger.join(ask) == work

    async def test_cancel_withdraws_one_ask_and_work_stops_with_the_last(self, ledger: Ledger) -> None:
        """The reason reaches the work only when nobody else wants it; the withdrawn ask stays withdrawn."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.join(make_ask("exec-2", step=attempt(2)))

        first = await ledger.withdraw(key_of("exec-1"), "not needed")
        assert first is not None
        assert first.cancel_reason is None
        with pytest.raises(TaskLostError, match="not needed"):
            await ledger.join(make_ask("exec-1", step=attempt(1)))
        last = await ledger.withdraw(key_of("exec-2"), "nor this")

        assert last is not None
        assert last.cancel_reason == "nor this"
        assert not await ledger.start("work-1", NOW)
        assert await ledger.withdraw(key_of("nobody"), "x") is None

    async def test_a_cancel_after_the_end_changes_nothing(self, ledger: Ledger) -> None:
        """Finished work is replayed even to those who cancel afterwards."""
        await ledger.open(make_ask(), make_work(ledger))
        await ledger.start("work-1", NOW)
        await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)

        work = await ledger.withdraw(key_of("exec-1"), "late")

        assert work is not None
        assert work.cancel_reason is None
        assert await ledger.join(make_ask()) == work

    async def test_a_report_writes_progress_and_brings_cancels_back(self, ledger: Ledger) -> None:
        """Whatever an author put into a note; one report does not spoil another."""
        await ledger.open(make_ask(), make_work(ledger))
        await ledger.open(make_ask("exec-2"), make_work(ledger, "work-2"))
        await ledger.withdraw(key_of("exec-2"), "not needed")

        (cancelled,) = await ledger.report({"work-1": (0.5, "half \ud800"), "work-2": (0.1, "")})

        assert (cancelled.work_id, cancelled.cancel_reason) == ("work-2", "not needed")
        work = await ledger.find(key_of())
        assert work is not None
        assert (work.progress, work.note[:5]) == (0.5, "half ")

    async def test_pages_follow_the_order_of_opening(self, ledger: Ledger) -> None:
        """A page begins after the work named and holds no more than was asked for."""
        for number in range(5):
            await ledger.open(make_ask(f"exec-{number}"), make_work(ledger, f"work-{number}", opened_ms=NOW + number))

        assert [work.work_id for work in await ledger.page("", 2)] == ["work-0", "work-1"]
        assert [work.work_id for work in await ledger.page("work-1", 2)] == ["work-2", "work-3"]

    @pytest.mark.parametrize("bound", ["count", "bytes", "age"])
    async def test_pruning_forgets_the_oldest_finished_work(self, ledger: Ledger, bound: str) -> None:
        """Each bound holds by itself; unfinished work stays, however old it is."""
        size_bytes = RECORD_BYTES + len(ANSWER.body)
        keep = {
            "count": Keep(count=2, total_bytes=1_000_000, age_ms=1_000_000),
            "bytes": Keep(count=1_000, total_bytes=2 * size_bytes, age_ms=1_000_000),
            "age": Keep(count=1_000, total_bytes=1_000_000, age_ms=7),
        }[bound]
        await ledger.open(make_ask("running", step=attempt(1, "r")), make_work(ledger, "running", step=attempt(1, "r")))
        await _end_some(ledger, 4)

        assert await ledger.make_room(EVERYTHING, NOW + 9)
        assert await ledger.make_room(keep, NOW + 9)

        assert [work.work_id for work in await ledger.page("", 10)] == ["running", "work-2", "work-3"]
        assert await ledger.find(key_of("exec-0")) is None
        assert await ledger.join(make_ask("later", step=attempt(2, "s0"))) is None

    async def test_nothing_is_forgotten_before_its_time(self, ledger: Ledger) -> None:
        """However much there is: what nobody heard stays longer than what was heard, and then nothing new fits."""
        keep = Keep(count=1, total_bytes=1, age_ms=1_000_000, least_ms=50, unheard_ms=500, full_bytes=4 * RECORD_BYTES)
        await _end_some(ledger, 4)
        await ledger.answered([key_of("exec-0")])
        await ledger.answered([key_of("exec-1")])

        assert not await ledger.make_room(keep, NOW + 40)
        assert len(await ledger.page("", 10)) == 4

        assert await ledger.make_room(keep, NOW + 100)
        assert [work.work_id for work in await ledger.page("", 10)] == ["work-2", "work-3"]

        assert await ledger.make_room(keep, NOW + 600)
        assert len(await ledger.page("", 10)) <= 1

    async def test_busy_work_is_never_forgotten(self, ledger: Ledger) -> None:
        """The next attempt at its step must find it."""
        await ledger.open(make_ask(step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.end("work-1", State.FAILED, Outcome(504, b"{}"), NOW, busy=True)

        await ledger.make_room(Keep(count=0, total_bytes=0, age_ms=0), NOW + 10)

        assert len(await ledger.page("", 10)) == 1

    async def test_busy_work_holds_up_no_other_work(self, ledger: Ledger) -> None:
        """A thread that never returns must not keep all that ended after it: the ledger would be full for good."""
        keep = Keep(count=0, total_bytes=0, age_ms=1_000_000, full_bytes=2 * RECORD_BYTES)
        await ledger.open(make_ask("stuck", step=attempt(1)), make_work(ledger, "stuck", step=attempt(1)))
        await ledger.end("stuck", State.FAILED, Outcome(504, b"{}"), NOW - 1, busy=True)
        await _end_some(ledger, 4)
        for name in ("stuck", "exec-0", "exec-1"):
            await ledger.answered([key_of(name)])

        assert await ledger.make_room(keep, NOW + 10)

        assert [work.work_id for work in await ledger.page("", 10)] == ["stuck"]
        await ledger.rest("stuck")
        await ledger.make_room(keep, NOW + 10)
        assert await ledger.page("", 10) == []

    @pytest.mark.parametrize("first", [2, 3])
    async def test_of_those_who_had_adopted_cut_work_one_opens_and_the_others_join(
        self, ledger: Ledger, first: int
    ) -> None:
        """Two attempts wait for work whose process dies: its step starts once more, not twice."""
        second = 5 - first
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1), state=State.RUNNING))
        for number in (2, 3):
            await ledger.join(make_ask(f"exec-{number}", step=attempt(number)))
        await ledger.end("work-1", State.LOST, None, NOW)

        one = await ledger.open(
            make_ask(f"exec-{first}", step=attempt(first)), make_work(ledger, "work-2", step=attempt(first))
        )
        other = await ledger.open(
            make_ask(f"exec-{second}", step=attempt(second)), make_work(ledger, "work-3", step=attempt(second))
        )

        assert (one[0], one[1].work_id) == (True, "work-2")
        assert (other[0], other[1].work_id) == (False, "work-2")
        found = await ledger.find(key_of(f"exec-{second}"))
        assert found is not None
        assert found.work_id == "work-2"

    async def test_only_a_candidate_that_there_is_can_be_turned_down(self, ledger: Ledger) -> None:
        """Who judges work that still runs judges something else: its success is kept."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1), state=State.RUNNING))
        await ledger.turn_down(key_of("exec-1"))
        await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)

        adopted = await ledger.join(make_ask("exec-2", body=b"other", step=attempt(2)))

        assert adopted is not None
        assert adopted.outcome == ANSWER

    async def test_who_wants_new_work_gets_none_while_the_steps_work_runs(self, ledger: Ledger) -> None:
        """What runs was turned down by nobody; a second start would be the step's second side effect."""
        await ledger.open(make_ask("exec-2", step=attempt(2)), make_work(ledger, step=attempt(2), state=State.RUNNING))

        adopted = await ledger.join(make_ask("exec-3", step=attempt(3), wants_new_work=True))

        assert adopted is not None
        assert adopted.work_id == "work-1"

    async def test_one_work_has_so_many_asks_and_no_more(self, ledger: Ledger) -> None:
        """Who claims to be attempt after attempt fills no table; nor does that start the work again."""
        await ledger.open(make_ask("exec-1", step=attempt(1)), make_work(ledger, step=attempt(1)))
        await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)
        for number in range(2, MAX_ASKS + 1):
            await ledger.join(make_ask(f"exec-{number}", step=attempt(number)))

        late = make_ask("late", step=attempt(10_000))
        with pytest.raises(SaturatedError, match="attempts"):
            await ledger.join(late)
        with pytest.raises(SaturatedError, match="attempts"):
            await ledger.open(late, make_work(ledger, "work-2", step=attempt(10_000)))

        assert await ledger.find(late.key) is None
        assert await ledger.join(make_ask("exec-2", step=attempt(2))) is not None


async def _end_some(ledger: Ledger, count: int) -> None:
    """Open and end works of steps of their own, a millisecond apart."""
    for number in range(count):
        step = attempt(1, f"s{number}")
        await ledger.open(make_ask(f"exec-{number}", step=step), make_work(ledger, f"work-{number}", step=step))
        await ledger.end(f"work-{number}", State.ANSWERED, ANSWER, NOW + number)
