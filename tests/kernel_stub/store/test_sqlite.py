"""The SQLite store: the contract of every store, and what is its own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from itertools import chain
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from kernel_stub import store as store_room
from kernel_stub.errors import InvalidEventError, StoreError
from kernel_stub.rules import run as rules
from kernel_stub.rules.records import Change, EventDraft, Step
from kernel_stub.store.port import Store
from kernel_stub.store.sqlite import SQL, SqliteDatabase
from kernel_stub.store.url import open_store
from tests.kernel_stub.store.store_contract import (
    DEAD,
    StoreContract,
    claimed,
    spec,
    submitted,
    succeeded,
    with_a_worker,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the store's file is."""
    return tmp_path / "state" / "kernel.sqlite3"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    """The store in this file."""
    async with open_store(path, seed_path=path.with_name("node_seed.hex")) as store, with_a_worker(store):
        yield store


def database(store: Store) -> SqliteDatabase:
    """The adapter behind it."""
    assert isinstance(store._database, SqliteDatabase)
    return store._database


class TestSqliteStore(StoreContract):
    """The contract, over a file."""

    def connect(self, place: Any) -> AbstractAsyncContextManager[Store]:
        """Open the file; two openings are as far apart as two processes."""
        return open_store(place, seed_path=place.with_name("node_seed.hex"))


async def test_only_its_owner_can_read_the_store(place: Path) -> None:
    """The registry may hold credentials, and what SQLite writes beside its file holds the same rows."""
    async with opened(place) as store:
        await submitted(store, spec())
        modes = {path.name: path.stat().st_mode & 0o777 for path in place.parent.glob("kernel.sqlite3*")}
        locks = {path.stat().st_mode & 0o777 for path in place.with_name("kernel.sqlite3.owners").iterdir()}

    assert modes.pop("kernel.sqlite3.owners") == 0o700
    assert modes == dict.fromkeys(("kernel.sqlite3", "kernel.sqlite3-wal", "kernel.sqlite3-shm"), 0o600)
    assert locks == {0o600}
    assert place.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "change",
    ["UPDATE runs SET status = 'NOPE'", "UPDATE run_bodies SET result = x'ff'", "DELETE FROM run_bodies"],
)
async def test_a_row_that_cannot_be_read_is_an_error_of_the_store(place: Path, change: str) -> None:
    """A person gets a sentence, whoever wrote the row."""
    async with opened(place) as store:
        await submitted(store, spec())
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(change)

    async with opened(place) as store:
        with pytest.raises(StoreError, match="the store holds a row that cannot be read"):
            await store.runs.find("r")
        with pytest.raises(StoreError, match="the store holds a row that cannot be read"):
            await store.runs.change("r", lambda state: rules.cancel(state, 1))
        assert await claimed(store) == []


async def test_changes_made_together_share_a_commit(place: Path) -> None:
    """A hundred settlements that wait for the disk wait for it a few times, not a hundred."""
    async with opened(place) as store:
        await submitted(store, spec(agents=100))
        held = await claimed(store)
        before = database(store).writer.commits
        async with anyio.create_task_group() as group:
            for state in held:
                group.start_soon(succeeded, store, state)

        assert database(store).writer.commits - before <= 10


async def test_a_change_that_fails_half_way_takes_none_of_its_group_with_it(place: Path) -> None:
    """What it wrote is gone, what the others wrote beside it in the same commit is there."""
    huge = EventDraft("TASK_CREATED", "t", {"task_id": "t", "inputs": "x" * 200_000}, 1)
    refused: list[str] = []

    async def half(store: Store, step: Step) -> None:
        change = Change(steps=(replace(step, error="written"),), task_events=(huge,))
        with pytest.raises(InvalidEventError, match="at most 131072"):
            await store.queue.settle(step.step_id, lambda _: change)
        refused.append(step.step_id)

    async with opened(place) as store:
        await submitted(store, spec(agents=30))
        held = await claimed(store)
        async with anyio.create_task_group() as group:
            for n, state in enumerate(held):
                if n % 10 == 5:
                    group.start_soon(half, store, state.step)
                else:
                    group.start_soon(succeeded, store, state)

        counts = await store.runs.counts("r")
        assert (counts["succeeded"], counts["leased"], len(refused)) == (27, 3, 3)
        assert [step.error for step in await store.runs.steps("r") if step.step_id in refused] == [None] * 3


async def test_events_cannot_be_changed_or_removed(place: Path) -> None:
    """The schema itself refuses, whoever holds the file."""
    async with opened(place):
        pass

    with closing(sqlite3.connect(place)) as file, file:
        file.execute("INSERT INTO events (event_id, task_id, kind, body) VALUES ('e', 't', 'K', x'00')")
        with pytest.raises(sqlite3.IntegrityError, match="an event is never changed"):
            file.execute("UPDATE events SET body = x'01'")
        with pytest.raises(sqlite3.IntegrityError, match="an event is never removed"):
            file.execute("DELETE FROM events")


async def test_an_older_file_is_brought_forward_with_what_it_holds(place: Path) -> None:
    """From every version there ever was; what was leased is resumed, and task ids that clash stay as they are."""
    for version in range(len(SQL.migrations)):
        path = place.with_name(f"v{version}.sqlite3")
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as file, file:
            for statement in chain.from_iterable(SQL.migrations[:version]):
                file.execute(statement)
            if version:
                file.execute("INSERT INTO executors (name, base_url, remote) VALUES ('x', 'http://x', 0)")
            if 0 < version < 3:
                _fill(file)
            file.execute(f"PRAGMA user_version = {version}")

        async with opened(path) as store:
            assert (await store.log.head()).events == 0
            assert len(await store.executors.all()) == min(version, 1)
            if 0 < version < 3:
                [resumed] = await claimed(store)
                assert (resumed.step.step_id, resumed.step.recoveries) == ("a:b-c", 1)
                assert len(await store.runs.steps("a-b")) == 1
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA user_version").fetchone() == (len(SQL.migrations),)


def _fill(file: sqlite3.Connection) -> None:
    """Two runs of the first release: one step is leased, and both steps have the task ids `run-a-b-c-N`."""
    for run_id, agent_id, status in (("a", "b-c", "LEASED"), ("a-b", "c", "CREATED")):
        file.execute("INSERT INTO runs VALUES (?, 'RUNNING', 'swarm', NULL, 1, 1, NULL, NULL, 1)", (run_id,))
        file.execute("INSERT INTO run_bodies VALUES (?, ?, ?, ?)", (run_id, b"{}", b"{}", b"{}"))
        step_id = f"{run_id}:{agent_id}"
        file.execute(
            "INSERT INTO steps "
            "VALUES (?, ?, ?, 'x', 'default', 'p', 1, 0, ?, 1, 1, 0, 'l', 'w', 9, 0, 't', NULL, ?, 0)",
            (step_id, run_id, agent_id, status, b"{}"),
        )
        file.execute("INSERT INTO attempts VALUES (?, 1, 't', 'p', 'v', 'PROBING', NULL, NULL, NULL, NULL)", (step_id,))


async def test_a_file_of_a_later_release_is_left_alone(place: Path) -> None:
    """Reading it by old rules would break it."""
    place.parent.mkdir()
    with closing(sqlite3.connect(place)) as file, file:
        file.execute("PRAGMA user_version = 99")

    with pytest.raises(StoreError, match="later release \\(version 99\\)"):
        async with opened(place):
            pass


async def test_a_file_that_is_no_store_is_told(place: Path) -> None:
    """With its path, and without a driver's traceback."""
    place.parent.mkdir()
    _scribbled(place)

    with pytest.raises(StoreError, match=r"kernel\.sqlite3 cannot be opened: file is not a database"):
        async with opened(place):
            pass


def _scribbled(place: Path) -> None:
    place.write_text("this is no database, but it is long enough to look like one" * 20, encoding="utf-8")


async def test_openings_at_once_make_one_store(place: Path) -> None:
    """A server and its workers may be started together on an empty directory."""
    async with anyio.create_task_group() as group:
        for n in range(6):
            group.start_soon(_open_and_submit, place, f"r{n}")

    async with opened(place) as store:
        assert len(await store.runs.newest(limit=10)) == 6


async def _open_and_submit(place: Path, run_id: str) -> None:
    async with opened(place) as store:
        await submitted(store, spec(run_id))


async def test_a_closed_store_refuses(place: Path) -> None:
    """It does not wait for a writer that is gone."""
    async with opened(place) as store:
        pass

    with pytest.raises(StoreError, match="closed"):
        await store.runs.change("r", lambda state: rules.kickoff(state, 1))


async def test_a_full_disk_is_told_and_nothing_is_half_written(place: Path) -> None:
    """Everything that shared the failed commit is gone, and the store works on once there is room."""
    async with opened(place) as store:
        await submitted(store, spec("small", agents=1))
        await database(store).write(lambda connection: _limited(connection, "1"))

        with pytest.raises(StoreError, match="full"):
            await submitted(store, spec("large", agents=2_000))
        assert await store.runs.find("large") is None

        await database(store).write(lambda connection: _limited(connection, "100000"))
        await submitted(store, spec("large", agents=2_000))
        assert (await store.runs.counts("large"))["queued"] == 2_000


def _limited(connection: Any, pages: str) -> None:
    connection._raw.execute(f"PRAGMA max_page_count = {pages}").fetchone()


async def test_the_cost_of_a_step_does_not_grow_with_run_or_log(place: Path) -> None:
    """Measured in what the database does: no statement on a step's path scans a table or sorts."""
    async with opened(place):
        pass
    statements = {name: text for name, text in _step_statements().items() if not text.startswith("INSERT")}

    with closing(sqlite3.connect(place)) as file:
        for name, text in statements.items():
            plan = [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {text}", _Anything())]
            # What is walked whole is small: the steps that workers hold, and what a statement was given.
            small = ("steps_held", "due", "mine", "CONSTANT", "letters", "failed", "set_aside")
            walks = [line for line in plan if line.startswith("SCAN") and not any(name in line for name in small)]
            assert walks == [], name
            assert not [line for line in plan if "TEMP B-TREE" in line], name


class _Anything(dict[str, Any]):
    """A value for every parameter."""

    def __missing__(self, key: str) -> int:
        return 1


def _step_statements() -> dict[str, str]:
    others = {"load_steps", "load_rounds", "count_steps", "newest_runs", "list_executors", "dead_letters"}
    audit = {"find_stray_event", "find_stray_run_event", "count_log", "first_event"}
    return {name: text for name, text in SQL.statements.items() if name not in others | audit}


def test_every_statement_says_what_it_is_for() -> None:
    """Each has a name and a sentence."""
    folder = Path(store_room.__file__).parent / "sql"
    for path in folder.rglob("*.sql"):
        if path.name.startswith("schema_"):
            continue
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            lines = block.splitlines()
            assert lines[0].startswith("-- "), block
            assert lines[1].startswith("-- "), block


def test_a_program_that_forgot_to_close_the_store_still_ends(place: Path) -> None:
    """The writer's thread keeps nobody alive."""
    code = f"""
import anyio
from pathlib import Path
from kernel_stub.store.url import open_store
async def main():
    path = Path({str(place)!r})
    opening = open_store(path, seed_path=path.with_name("seed.hex"))
    store = await opening.__aenter__()
    await store.queue.release({{}})
    import os, threading
    assert any(thread.name == "store-writer" for thread in threading.enumerate())
    opening.gen = None
anyio.run(main)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=20, check=False)

    assert done.returncode == 0


async def test_a_run_that_cannot_be_read_is_set_aside_and_the_others_go_on(place: Path) -> None:
    """It is shown among the dead letters with its reason, and is claimed again once somebody has mended it."""
    async with opened(place) as store:
        await submitted(store, spec("bad", agents=2))
        await submitted(store, spec("good", agents=2))
        await claimed(store, limit=1, holder=DEAD)
        with closing(sqlite3.connect(place, isolation_level=None)) as file:
            file.execute("UPDATE runs SET status = 'NOPE' WHERE run_id = 'bad'")

            taken = [state.step.step_id for state in await claimed(store)]
            [letter] = await store.runs.dead_letters(limit=5)
            assert await claimed(store) == []

            file.execute("UPDATE runs SET status = 'RUNNING' WHERE run_id = 'bad'")
        await store.runs.change("bad", lambda state: rules.kickoff(state, 20))
        mended = [state.step.step_id for state in await claimed(store)]

        assert taken == ["good:a0", "good:a1"]
        assert (letter.run_id, letter.step_id) == ("bad", "bad:a0")
        assert letter.reason == "the store holds a row that cannot be read: 'NOPE' is not a valid RunStatus"
        assert mended == ["bad:a0", "bad:a1"]
        assert await store.runs.dead_letters(limit=5) == []
