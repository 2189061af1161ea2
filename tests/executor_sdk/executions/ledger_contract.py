"""The contract of the ledger port, subclassed once for each store."""

from __future__ import annotations

import anyio
import pytest

from executor_sdk.errors import BodyDiffersError, TaskLostError
from executor_sdk.executions.ledger import Ledger
from executor_sdk.executions.record import Ask, Keep, Outcome, State, Step, Work

OWNER = "owner-1"
NOW = 1_000_000
ANSWER = Outcome(200, b'{"candidate_output":1}', ((b"x-note", b"1"),))
EVERYTHING = Keep(count=1_000, total_bytes=1_000_000, age_ms=1_000_000)


def make_ask(key: str = "exec-1", *, body: bytes = b"body", step: Step | None = None) -> Ask:
    """An ask of `/execute`."""
    return Ask(("execute", key), body, step)


def make_work(work_id: str = "work-1", *, step: Step | None = None, owner: str = OWNER, opened_ms: int = NOW) -> Work:
    """New work, as it is opened."""
    return Work(work_id, step, State.QUEUED, owner, opened_ms, opened_ms)


class LedgerContract:
    """What every ledger does."""

    #: What one finished work takes of the bytes that are kept: its answer, and what else a ledger holds of it.
    bytes_of_one_work = len(ANSWER.body)

    async def test_an_unknown_ask_has_no_work(self, ledger: Ledger) -> None:
        """Joining finds nothing before anything was opened."""
        assert await ledger.join(make_ask()) is None
        assert await ledger.find(("execute", "exec-1")) is None

    async def test_the_first_ask_opens_and_a_copy_joins(self, ledger: Ledger) -> None:
        """The copy gets the work of the first and opens none."""
        created, work = await ledger.open(make_ask(), make_work())
        again, joined = await ledger.open(make_ask(), make_work("work-2"))

        assert (created, again) == (True, False)
        assert work.work_id == joined.work_id == "work-1"
        assert await ledger.join(make_ask()) == work

    async def test_opens_at_once_make_one_work(self, ledger: Ledger) -> None:
        """Of many opens that race, one creates."""
        created = []

        async def open_one(number: int) -> None:
            made, work = await ledger.open(make_ask(), make_work(f"work-{number}"))
            created.append((made, work.work_id))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(open_one, number)

        assert sorted(made for made, _ in created) == [False] * 7 + [True]
        assert len({work_id for _, work_id in created}) == 1

    async def test_another_body_under_the_same_id_is_refused(self, ledger: Ledger) -> None:
        """The first body keeps the id, for joining and for opening."""
        await ledger.open(make_ask(), make_work())

        with pytest.raises(BodyDiffersError):
            await ledger.join(make_ask(body=b"other"))
        with pytest.raises(BodyDiffersError):
            await ledger.open(make_ask(body=b"other"), make_work("work-2"))

    async def test_finished_work_is_replayed_to_the_byte(self, ledger: Ledger) -> None:
        """Status, body and headers come back as they were recorded."""
        await ledger.open(make_ask(), make_work())
        assert await ledger.start("work-1", OWNER, NOW + 1)
        await ledger.end("work-1", OWNER, State.ANSWERED, ANSWER, NOW + 2)

        work = await ledger.join(make_ask())

        assert work is not None
        assert (work.state, work.outcome) == (State.ANSWERED, ANSWER)
        assert (work.opened_ms, work.started_ms, work.ended_ms) == (NOW, NOW + 1, NOW + 2)

    async def test_the_first_end_wins(self, ledger: Ledger) -> None:
        """A late end changes nothing and returns what stands."""
        await ledger.open(make_ask(), make_work())
        await ledger.start("work-1", OWNER, NOW)
        await ledger.end("work-1", OWNER, State.CANCELLED, None, NOW + 1)

        late = await ledger.end("work-1", OWNER, State.ANSWERED, ANSWER, NOW + 2)

        assert late is not None
        assert (late.state, late.outcome) == (State.CANCELLED, None)

    async def test_only_the_owner_starts_and_ends(self, ledger: Ledger) -> None:
        """Another process's start and end are fenced off."""
        await ledger.open(make_ask(), make_work())

        assert not await ledger.start("work-1", "somebody", NOW)
        stands = await ledger.end("work-1", "somebody", State.ANSWERED, ANSWER, NOW)

        assert stands is not None
        assert stands.state is State.QUEUED

    async def test_work_starts_once(self, ledger: Ledger) -> None:
        """A second start is refused."""
        await ledger.open(make_ask(), make_work())

        assert await ledger.start("work-1", OWNER, NOW)
        assert not await ledger.start("work-1", OWNER, NOW)

    async def test_a_later_attempt_adopts_running_work(self, ledger: Ledger) -> None:
        """The higher attempt of the same step joins; the lower one and another step do not."""
        await ledger.open(make_ask("exec-2", step=Step("s", 2)), make_work(step=Step("s", 2)))

        adopted = await ledger.join(make_ask("exec-3", body=b"other", step=Step("s", 3)))

        assert adopted is not None
        assert adopted.work_id == "work-1"
        assert await ledger.join(make_ask("exec-1", step=Step("s", 1))) is None
        assert await ledger.join(make_ask("exec-9", step=Step("t", 3))) is None
        assert await ledger.join(make_ask("exec-8")) is None

    async def test_an_answer_that_never_left_is_adopted(self, ledger: Ledger) -> None:
        """Finished work stays adoptable until an answer went out whole to anybody."""
        await ledger.open(make_ask("exec-1", step=Step("s", 1)), make_work(step=Step("s", 1)))
        await ledger.start("work-1", OWNER, NOW)
        await ledger.end("work-1", OWNER, State.ANSWERED, ANSWER, NOW)

        adopted = await ledger.join(make_ask("exec-2", step=Step("s", 2)))
        await ledger.answered(("execute", "exec-2"), NOW)

        assert adopted is not None
        assert adopted.outcome == ANSWER
        assert await ledger.join(make_ask("exec-3", step=Step("s", 3))) is None
        assert await ledger.join(make_ask("exec-2", step=Step("s", 2))) is not None

    async def test_a_failure_worth_another_try_is_not_adopted(self, ledger: Ledger) -> None:
        """A new attempt after an unsent 5xx is the other try; an unsent refusal is handed on."""
        for number, status in ((1, 503), (2, 422)):
            step = Step(f"s{number}", 1)
            await ledger.open(make_ask(f"exec-{number}", step=step), make_work(f"work-{number}", step=step))
            await ledger.end(f"work-{number}", OWNER, State.FAILED, Outcome(status, b"{}"), NOW)

        assert await ledger.join(make_ask("exec-3", step=Step("s1", 2))) is None
        assert await ledger.join(make_ask("exec-4", step=Step("s2", 2))) is not None

    async def test_cut_work_that_never_started_is_opened_anew(self, ledger: Ledger) -> None:
        """At most one start for each execution id: none yet, so another may follow."""
        await ledger.open(make_ask(), make_work())
        await ledger.end("work-1", OWNER, State.LOST, None, NOW)

        assert await ledger.join(make_ask()) is None
        created, work = await ledger.open(make_ask(), make_work("work-2"))
        assert created
        assert work.work_id == "work-2"

    async def test_cut_work_that_started_is_not_opened_anew(self, ledger: Ledger) -> None:
        """Its own ask had its start; an ask that had adopted it did not."""
        await ledger.open(make_ask("exec-1", step=Step("s", 1)), make_work(step=Step("s", 1)))
        await ledger.start("work-1", OWNER, NOW)
        await ledger.join(make_ask("exec-2", step=Step("s", 2)))
        await ledger.end("work-1", OWNER, State.LOST, None, NOW)

        lost = await ledger.join(make_ask("exec-1", step=Step("s", 1)))

        assert lost is not None
        assert lost.state is State.LOST
        assert await ledger.join(make_ask("exec-2", step=Step("s", 2))) is None

    async def test_a_verify_body_is_a_new_question_once_answered(self, ledger: Ledger) -> None:
        """It joins and replays until its answer went out; cut work of it may start again."""
        ask = Ask(("verify", "digest"), b"body")
        await ledger.open(ask, make_work())
        await ledger.start("work-1", OWNER, NOW)
        assert await ledger.join(ask) is not None
        await ledger.end("work-1", OWNER, State.ANSWERED, ANSWER, NOW)
        assert await ledger.join(ask) is not None

        await ledger.answered(ask.key, NOW)

        assert await ledger.join(ask) is None
        await ledger.open(ask, make_work("work-2"))
        await ledger.start("work-2", OWNER, NOW)
        await ledger.end("work-2", OWNER, State.LOST, None, NOW)
        assert await ledger.join(ask) is None

    async def test_cancel_withdraws_one_ask_and_work_stops_with_the_last(self, ledger: Ledger) -> None:
        """The reason reaches the work only when nobody else wants it; the withdrawn ask stays withdrawn."""
        await ledger.open(make_ask("exec-1", step=Step("s", 1)), make_work(step=Step("s", 1)))
        await ledger.join(make_ask("exec-2", step=Step("s", 2)))

        first = await ledger.withdraw(("execute", "exec-1"), "not needed")
        with pytest.raises(TaskLostError, match="not needed"):
            await ledger.join(make_ask("exec-1", step=Step("s", 1)))
        last = await ledger.withdraw(("execute", "exec-2"), "nor this")

        assert first is not None
        assert first.cancel_reason is None
        assert last is not None
        assert last.cancel_reason == "nor this"
        assert not await ledger.start("work-1", OWNER, NOW)
        assert await ledger.withdraw(("execute", "nobody"), "x") is None

    async def test_a_cancel_after_the_end_changes_nothing(self, ledger: Ledger) -> None:
        """Finished work is replayed even to those who cancel afterwards."""
        await ledger.open(make_ask(), make_work())
        await ledger.start("work-1", OWNER, NOW)
        await ledger.end("work-1", OWNER, State.ANSWERED, ANSWER, NOW)

        work = await ledger.withdraw(("execute", "exec-1"), "late")

        assert work is not None
        assert work.cancel_reason is None
        assert await ledger.join(make_ask()) == work

    async def test_wants_only_grow(self, ledger: Ledger) -> None:
        """The latest of all waiters decides until when work is wanted."""
        await ledger.open(make_ask(), make_work())

        await ledger.want(("execute", "exec-1"), NOW + 50)
        work = await ledger.want(("execute", "exec-1"), NOW + 20)

        assert work is not None
        assert work.wanted_until_ms == NOW + 50
        assert await ledger.want(("execute", "nobody"), NOW) is None

    async def test_a_beat_writes_progress_and_brings_wants_back(self, ledger: Ledger) -> None:
        """The owner gets its unfinished work, with what others asked of it."""
        await ledger.open(make_ask(), make_work())
        await ledger.want(("execute", "exec-1"), NOW + 50)

        (work,) = await ledger.beat(OWNER, {"work-1": (0.5, "half")}, NOW)

        assert (work.progress, work.note, work.wanted_until_ms) == (0.5, "half", NOW + 50)
        assert await ledger.beat("somebody", {}, NOW) == []

    async def test_the_work_of_silent_owners_is_buried(self, ledger: Ledger) -> None:
        """What a dead process left behind ends as LOST; the living keep theirs."""
        await ledger.open(make_ask("exec-1"), make_work("work-1", owner="dead"))
        await ledger.open(make_ask("exec-2"), make_work("work-2", owner="alive"))
        await ledger.beat("dead", {}, NOW)
        await ledger.beat("alive", {}, NOW + 900)

        assert await ledger.bury(NOW + 500, NOW + 1_000) == 1

        states = [work.state for work in await ledger.page("", 10)]
        assert states == [State.LOST, State.QUEUED]

    async def test_pages_follow_the_order_of_opening(self, ledger: Ledger) -> None:
        """A page begins after the work named and holds no more than was asked for."""
        for number in range(5):
            await ledger.open(make_ask(f"exec-{number}"), make_work(f"work-{number}", opened_ms=NOW + number))

        assert [work.work_id for work in await ledger.page("", 2)] == ["work-0", "work-1"]
        assert [work.work_id for work in await ledger.page("work-1", 2)] == ["work-2", "work-3"]

    @pytest.mark.parametrize("bound", ["count", "bytes", "age"])
    async def test_pruning_forgets_the_oldest_finished_work(self, ledger: Ledger, bound: str) -> None:
        """Each bound holds by itself; unfinished work stays, however old it is."""
        keep = {
            "count": Keep(count=2, total_bytes=1_000_000, age_ms=1_000_000),
            "bytes": Keep(count=1_000, total_bytes=2 * self.bytes_of_one_work, age_ms=1_000_000),
            "age": Keep(count=1_000, total_bytes=1_000_000, age_ms=7),
        }[bound]
        await ledger.open(make_ask("running", step=Step("r", 1)), make_work("running", step=Step("r", 1)))
        for number in range(4):
            step = Step(f"s{number}", 1)
            await ledger.open(make_ask(f"exec-{number}", step=step), make_work(f"work-{number}", step=step))
            await ledger.end(f"work-{number}", OWNER, State.ANSWERED, ANSWER, NOW + number)

        assert await ledger.prune(EVERYTHING, NOW + 9) == 0
        assert await ledger.prune(keep, NOW + 9) == 2

        assert [work.work_id for work in await ledger.page("", 10)] == ["running", "work-2", "work-3"]
        assert await ledger.find(("execute", "exec-0")) is None
        assert await ledger.join(make_ask("later", step=Step("s0", 2))) is None
