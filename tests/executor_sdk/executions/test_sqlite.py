"""The ledger in a file keeps the contract, outlives its process, and is shared by several."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from executor_sdk.errors import TaskLostError
from executor_sdk.executions.admission import Lane
from executor_sdk.executions.executions import Answer, Executions, How, Plan
from executor_sdk.executions.ledger import LedgerError
from executor_sdk.executions.live import LiveWork
from executor_sdk.executions.record import Keep, Outcome, State, Step
from executor_sdk.executions.sqlite import MIGRATIONS, SqliteLedger
from tests.executor_sdk.executions.ledger_contract import ANSWER, NOW, LedgerContract, make_ask, make_work

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
        self.executions = Executions(self.ledger, slots=4, queue=4, keep=KEEP, drain_s=5)
        self.starts = 0
        self.started, self.go_on = anyio.Event(), anyio.Event()

    async def perform(self, live: LiveWork) -> Outcome:
        """Count the start and wait."""
        self.starts += 1
        self.started.set()
        await self.go_on.wait()
        return ANSWER

    async def ask(self, key: str = "exec-1", *, attempt: int = 1, body: bytes = b"body") -> Answer | None:
        """Ask for the one step."""
        ask = make_ask(key, body=body, step=Step("step", attempt))
        return await self.executions.run(ask, Plan(Lane("swarm"), 30.0, self.perform))


async def test_finished_work_is_replayed_after_a_restart(tmp_path: Path) -> None:
    """The answer that was made before the stop reaches whoever asks after it."""
    before = Process(tmp_path / "ledger.sqlite")
    before.go_on.set()
    await before.ask()
    await before.executions.drain()

    after = Process(tmp_path / "ledger.sqlite")
    answer = await after.ask()
    adopted = await after.ask("exec-2", attempt=2, body=b"other")
    await after.executions.drain()

    assert answer == Answer(("execute", "exec-1"), ANSWER, How.REPLAYED)
    assert adopted is not None
    assert adopted.outcome == ANSWER
    assert (before.starts, after.starts) == (1, 0)


async def _wanted_from_outside(process: Process) -> None:
    """Wait until another process has written down that it waits for the work."""
    while (work := await process.ledger.find(("execute", "exec-1"))) is None or work.wanted_until_ms <= work.opened_ms:
        await anyio.sleep(0.005)


async def test_copies_in_two_processes_share_one_work(tmp_path: Path) -> None:
    """The second process waits for the first one's work and gives its answer."""
    first, second = Process(tmp_path / "ledger.sqlite"), Process(tmp_path / "ledger.sqlite")
    answers: list[Answer | None] = []

    async def ask(process: Process) -> None:
        answers.append(await process.ask())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(ask, first)
            await first.started.wait()
            group.start_soon(ask, second)
            await _wanted_from_outside(first)
            first.go_on.set()
        await first.executions.drain()
        await second.executions.drain()

    assert [answer.outcome for answer in answers if answer] == [ANSWER, ANSWER]
    assert (first.starts, second.starts) == (1, 0)


async def test_what_a_crash_left_behind_is_lost_and_attempted_anew(tmp_path: Path) -> None:
    """The dead process's execution id had its start; a later attempt gets another, once the owner is silent."""
    dead = SqliteLedger(tmp_path / "ledger.sqlite")
    await dead.open(make_ask(step=Step("step", 1)), make_work(step=Step("step", 1), owner="dead"))
    await dead.start("work-1", "dead", NOW)
    await dead.beat("dead", {}, NOW)
    await dead.close()

    after = Process(tmp_path / "ledger.sqlite")
    after.go_on.set()
    with anyio.fail_after(10):
        with pytest.raises(TaskLostError, match="its process died"):
            await after.ask()
        answer = await after.ask("exec-2", attempt=2, body=b"other")
    await after.executions.drain()

    assert answer is not None
    assert answer.how is How.OPENED
    assert after.starts == 1


async def test_work_queued_at_a_crash_starts_under_its_own_id(tmp_path: Path) -> None:
    """It never started, so the same execution id may."""
    dead = SqliteLedger(tmp_path / "ledger.sqlite")
    await dead.open(make_ask(step=Step("step", 1)), make_work(step=Step("step", 1), owner="dead"))
    await dead.close()

    after = Process(tmp_path / "ledger.sqlite")
    after.go_on.set()
    with anyio.fail_after(10):
        answer = await after.ask()
    await after.executions.drain()

    assert answer is not None
    assert answer.outcome == ANSWER


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
            await other.executions.cancel(("execute", "exec-1"), "not needed")
        await owner.executions.drain()
        await other.executions.drain()


async def test_a_file_of_a_later_release_is_refused(tmp_path: Path) -> None:
    """And left as it is."""
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()

    ledger = SqliteLedger(path)
    with pytest.raises(LedgerError, match="later release"):
        await ledger.find(("execute", "exec-1"))
    await ledger.close()


async def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    """A ledger that cannot be opened answers every call with its error."""
    ledger = SqliteLedger(tmp_path)
    for _ in range(2):
        with pytest.raises(LedgerError, match="cannot be opened"):
            await ledger.find(("execute", "exec-1"))
    await ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        await ledger.find(("execute", "exec-1"))


async def test_the_file_says_its_version(tmp_path: Path) -> None:
    """Later releases migrate from it."""
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    await ledger.open(make_ask(), make_work())
    await ledger.end("work-1", "owner-1", State.LOST, None, NOW)
    await ledger.close()

    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
