"""The ledger in a file keeps the contract, outlives its process, and is shared by several."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from executor_sdk.errors import TaskLostError
from executor_sdk.executions.admission import Lane
from executor_sdk.executions.executions import Executions
from executor_sdk.executions.ledger import LedgerError
from executor_sdk.executions.live import LiveWork
from executor_sdk.executions.plan import How, Plan, Reply, WorkBounds
from executor_sdk.executions.record import Keep, Outcome, State
from executor_sdk.executions.sqlite import SQL, SqliteLedger
from tests.executor_sdk.executions.ledger_contract import (
    ANSWER,
    NOW,
    LedgerContract,
    attempt,
    key_of,
    make_ask,
    make_work,
)

pytestmark = pytest.mark.anyio

KEEP = Keep(count=100, total_bytes=100_000, age_ms=10**12)


class TestSqliteLedger(LedgerContract):
    """The contract, on a file."""

    @pytest.fixture
    async def ledger(self, tmp_path: Path) -> AsyncIterator[SqliteLedger]:
        """An empty ledger."""
        ledger = SqliteLedger(tmp_path / "deep" / "ledger.sqlite")
        yield ledger
        await ledger.close()


class Process:
    """Executions on the shared file, as another process would have them; its handler answers when told."""

    def __init__(self, path: Path) -> None:
        self.ledger = SqliteLedger(path)
        self.executions = Executions(self.ledger, bounds=WorkBounds(4, 4), keep=KEEP, drain_s=5)
        self.starts = 0
        self.started, self.go_on = anyio.Event(), anyio.Event()

    async def perform(self, live: LiveWork) -> Outcome:
        """Count the start and wait."""
        self.starts += 1
        self.started.set()
        await self.go_on.wait()
        return ANSWER

    async def ask(self, key: str = "exec-1", *, number: int = 1, body: bytes = b"body") -> Reply | None:
        """Ask for the one step."""
        ask = make_ask(key, body=body, step=attempt(number))
        return await self.executions.run(ask, Plan(Lane("swarm"), 30.0, self.perform))


async def test_finished_work_is_replayed_after_a_restart(tmp_path: Path) -> None:
    """The answer that was made before the stop reaches whoever asks after it."""
    before = Process(tmp_path / "ledger.sqlite")
    before.go_on.set()
    await before.ask()
    await before.executions.drain()

    after = Process(tmp_path / "ledger.sqlite")
    answer = await after.ask()
    adopted = await after.ask("exec-2", number=2, body=b"other")
    await after.executions.drain()

    assert answer == Reply(key_of(), ANSWER, How.REPLAYED)
    assert adopted is not None
    assert adopted.outcome == ANSWER
    assert (before.starts, after.starts) == (1, 0)


async def _waited_for_from_outside(process: Process) -> None:
    """Wait until another process has written down that it waits for the work."""
    work = await process.ledger.find(key_of())
    assert work is not None
    while not (await process.ledger.waiting_elsewhere(work.work_id))[0]:
        await anyio.sleep(0.005)


async def test_copies_in_two_processes_share_one_work(tmp_path: Path) -> None:
    """The second process waits for the first one's work and gives its answer."""
    first, second = Process(tmp_path / "ledger.sqlite"), Process(tmp_path / "ledger.sqlite")
    answers: list[Reply | None] = []

    async def ask(process: Process) -> None:
        answers.append(await process.ask())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, first)
            await first.started.wait()
            group.start_soon(ask, second)
            await _waited_for_from_outside(first)
            first.go_on.set()
        await first.executions.drain()
        await second.executions.drain()

    assert [answer.outcome for answer in answers if answer] == [ANSWER, ANSWER]
    assert (first.starts, second.starts) == (1, 0)


async def _left_behind(path: Path, *, started: bool) -> None:
    """Work that a process had opened when it died: its lock is gone, its records are not."""
    dead = SqliteLedger(path)
    state = State.RUNNING if started else State.QUEUED
    await dead.open(make_ask(step=attempt(1)), make_work(dead, step=attempt(1), state=state))
    await dead.close()


async def test_what_a_crash_left_behind_is_lost_and_attempted_again(tmp_path: Path) -> None:
    """The dead process's execution id had its start; a later attempt gets another at once, whatever the clock says."""
    await _left_behind(tmp_path / "ledger.sqlite", started=True)

    after = Process(tmp_path / "ledger.sqlite")
    after.go_on.set()
    with anyio.fail_after(10):
        await after.executions.start()
        with pytest.raises(TaskLostError, match="its process died"):
            await after.ask()
        answer = await after.ask("exec-2", number=2, body=b"other")
    await after.executions.drain()

    assert answer is not None
    assert answer.how is How.OPENED
    assert after.starts == 1


async def test_work_queued_at_a_crash_starts_under_its_own_id(tmp_path: Path) -> None:
    """It never started, so the same execution id may; also where nobody has started the executions."""
    await _left_behind(tmp_path / "ledger.sqlite", started=False)

    after = Process(tmp_path / "ledger.sqlite")
    after.go_on.set()
    with anyio.fail_after(10):
        answer = await after.ask()
    await after.executions.drain()

    assert answer is not None
    assert answer.outcome == ANSWER


async def test_the_threads_of_a_process_that_died_hold_up_no_step(tmp_path: Path) -> None:
    """Also where the process that is asked next was there all the while."""
    after = Process(tmp_path / "ledger.sqlite")
    await after.executions.start()
    dead = SqliteLedger(tmp_path / "ledger.sqlite")
    await dead.open(make_ask(step=attempt(1)), make_work(dead, step=attempt(1), state=State.RUNNING))
    await dead.end("work-1", State.FAILED, Outcome(504, b"{}"), NOW, busy=True)
    await dead.close()

    after.go_on.set()
    with anyio.fail_after(10):
        answer = await after.ask("exec-2", number=2, body=b"other")
    await after.executions.drain()

    assert answer is not None
    assert answer.how is How.OPENED


async def test_nothing_is_left_of_those_who_waited_for_forgotten_work(tmp_path: Path) -> None:
    """Processes that were killed while they waited cannot take back that they do."""
    path = tmp_path / "ledger.sqlite"
    ledger, killed = SqliteLedger(path), SqliteLedger(path)
    await ledger.open(make_ask(), make_work(ledger, state=State.RUNNING))
    await killed.wait_for("work-1")
    await killed.close()
    await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)
    await ledger.make_room(Keep(count=0, total_bytes=0, age_ms=0), NOW + 1)
    await ledger.close()

    connection = sqlite3.connect(path)
    waits = connection.execute("SELECT count(*) FROM waits").fetchone()
    connection.close()

    assert waits == (0,)


async def test_an_end_counts_although_its_owner_was_thought_dead(tmp_path: Path) -> None:
    """Unless somebody has ended the work since: the first end wins."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    await ledger.open(make_ask(), make_work(ledger, state=State.RUNNING))
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("UPDATE works SET state = 'LOST', ended_ms = 1")
    connection.commit()
    connection.close()

    work = await ledger.end("work-1", State.ANSWERED, ANSWER, NOW)
    late = await ledger.end("work-1", State.FAILED, Outcome(500, b"{}"), NOW)
    await ledger.close()

    assert work is not None
    assert (work.state, work.outcome) == (State.ANSWERED, ANSWER)
    assert late == work


async def test_one_callers_data_fails_nobody_else(tmp_path: Path) -> None:
    """What SQLite cannot hold is that caller's failure; the file goes on."""
    ledger = SqliteLedger(str(tmp_path / "ledger.sqlite"))
    outcomes: list[object] = []

    async def open_one(number: int, opened_ms: int) -> None:
        try:
            work = make_work(ledger, f"work-{number}", opened_ms=opened_ms)
            outcomes.append(await ledger.open(make_ask(f"exec-{number}"), work))
        except LedgerError as error:
            outcomes.append(error)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(open_one, number, 2**70 if number == 3 else NOW)

    assert sum(isinstance(outcome, LedgerError) for outcome in outcomes) == 1
    assert len(await ledger.page("", 100)) == 7
    assert ledger.failure is None
    await ledger.close()


async def test_a_cancel_in_one_process_stops_the_work_of_another(tmp_path: Path) -> None:
    """It reaches the owner with its next beat."""
    owner, other = Process(tmp_path / "ledger.sqlite"), Process(tmp_path / "ledger.sqlite")

    async def ask() -> None:
        with pytest.raises(TaskLostError, match="not needed"):
            await owner.ask()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await owner.started.wait()
            await other.executions.cancel(key_of(), "not needed")
        await owner.executions.drain()
        await other.executions.drain()


async def test_a_file_of_a_later_release_is_refused(tmp_path: Path) -> None:
    """And left as it is."""
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(SQL.migrations) + 1}")
    connection.close()

    ledger = SqliteLedger(path)
    with pytest.raises(LedgerError, match="later release"):
        await ledger.prepare()
    await ledger.close()


async def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    """A ledger that cannot be opened answers every call with its error, and says so to those who ask for health."""
    (tmp_path / "ledger").mkdir()
    ledger = SqliteLedger(tmp_path / "ledger")
    assert ledger.failure is None
    for _ in range(2):
        with pytest.raises(LedgerError, match="cannot be opened"):
            await ledger.find(key_of())
    assert "cannot be opened" in str(ledger.failure)
    await ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        await ledger.find(key_of())


async def test_a_file_of_the_first_release_is_brought_forward(tmp_path: Path) -> None:
    """Its answers are replayed whatever the encoding of the copy; its keys of steps mean nothing any more."""
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    for statement in SQL.migrations[0]:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO works (work_id, step_key, attempt, state, owner, wanted_until_ms, opened_ms, started_ms, "
        "ended_ms, status, body, headers, sent) "
        "VALUES ('old', 'key', 1, 'ANSWERED', 'gone', 0, 1, 1, 2, 200, x'7b7d', '[]', 1)"
    )
    connection.execute("INSERT INTO asks VALUES ('execute', 'exec-1', x'00', 'old', 0, NULL)")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()

    ledger = SqliteLedger(path)
    work = await ledger.join(make_ask())
    await ledger.close()

    assert work is not None
    assert work.outcome == Outcome(200, b"{}")
    assert work.task_type is None


@pytest.mark.parametrize("statement", ["forgettable", "kept_bytes"])
async def test_forgetting_reads_no_answers(tmp_path: Path, statement: str) -> None:
    """It looks at all that has ended; with the answers in between, that holds up everybody who waits for the file."""
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    await ledger.prepare()
    await ledger.close()
    values = dict.fromkeys(("count", "total_bytes", "oldest_ms", "heard_before_ms", "unheard_before_ms"), 0)

    connection = sqlite3.connect(path)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {SQL.statements[statement]}", values).fetchall()
    connection.close()

    assert ["COVERING INDEX works_finished" in step for *_, step in plan if "works" in step] == [True]
