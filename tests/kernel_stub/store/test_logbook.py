"""The log inside the store: numbered, chained and signed within the transactions of the writer."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from executor_sdk.sqlite.connection import Connection, open_file
from executor_sdk.sqlite.writer import Writer
from kernel_stub.errors import BrokenHeadError, ForeignSeedError, StoreError
from kernel_stub.log.identity import Identity
from kernel_stub.log.walk import Walk
from kernel_stub.rules.records import EventDraft, RunEvent
from kernel_stub.store.logbook import Logbook, begin_log, find_stray, has_head, load_entries, load_head, signer_of
from kernel_stub.store.sqlite import SQL

pytestmark = pytest.mark.anyio

NODE: Final = Identity(b"n" * 32)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "log.sqlite3"


@pytest.fixture
def reader(place: Path) -> Iterator[Connection]:
    """A connection to a file whose log is this node's."""
    with closing(open_file(place, SQL, error=StoreError)) as connection:
        begin(connection, NODE)
        yield connection


def begin(connection: Connection, identity: Identity) -> None:
    """Open the log as a node does."""
    if not has_head(connection, identity):
        connection.begin()
        begin_log(connection, identity)
        connection.commit()


class Appending:
    """One process that appends through a writer of its own."""

    def __init__(self, place: Path) -> None:
        self.logbook = Logbook()
        self.writer = Writer(
            lambda: open_file(place, SQL, error=StoreError),
            error=StoreError,
            before_commit=self.logbook.seal,
            on_rollback=self.logbook.forget,
        )

    async def append(self, name: str, *, fails: bool = False) -> None:
        """Two task events and a run event; then perhaps an error, with everything written."""

        def work(connection: Connection) -> None:
            drafts = [EventDraft("TASK_EXPIRED", name, {"task_id": name}, 1)] * 2
            self.logbook.append(connection, NODE, drafts, [RunEvent(name, "RUN_KICKOFF", {"run_id": name}, 1)])
            if fails:
                raise LookupError(name)

        await self.writer.run(work)


@pytest.fixture
async def appending(place: Path, reader: Connection) -> AsyncIterator[Appending]:
    """A process that appends."""
    made = Appending(place)
    yield made
    await made.writer.aclose()


def walked(reader: Connection) -> int:
    """The whole log walked along; how many entries its head speaks of."""
    head = load_head(reader)
    assert head is not None
    walk = Walk(frozenset({NODE.node_id}), head=head)
    for entry in load_entries(reader, 0, 10_000):
        walk.take(entry)
    walk.finish(find_stray(reader, head))
    return head.entries


async def test_a_new_log_has_a_signed_head(reader: Connection) -> None:
    """Of no entries, so that from the first one on nothing can be cut away."""
    assert walked(reader) == 0
    assert signer_of(reader) is None


async def test_changes_of_one_group_share_one_head(reader: Connection, appending: Appending) -> None:
    """Signed once for each commit, and never flushed by itself."""
    await appending.append("first")
    before = reader.run("load_head")
    commits = appending.writer.commits
    async with asyncio.TaskGroup() as group:
        for n in range(100):
            group.create_task(appending.append(f"t{n}"))

    assert appending.writer.commits - commits < 20
    assert reader.run("load_head") != before
    assert walked(reader) == 303
    assert signer_of(reader) == NODE.node_id


async def test_a_group_that_is_rolled_back_leaves_no_number_behind(reader: Connection, appending: Appending) -> None:
    """Its changes run again, each alone: they are numbered and chained from what was committed."""
    failed: list[str] = []

    async def one(n: int) -> None:
        try:
            await appending.append(f"t{n}", fails=n % 7 == 3)
        except LookupError as error:
            failed.append(str(error))

    async with asyncio.TaskGroup() as group:
        for n in range(70):
            group.create_task(one(n))

    assert len(failed) == 10
    assert walked(reader) == 180


async def test_two_processes_append_to_one_chain(place: Path, reader: Connection, appending: Appending) -> None:
    """Each transaction reads the head that the last one left, whoever that was."""
    other = Appending(place)
    async with asyncio.TaskGroup() as group:
        for n in range(40):
            group.create_task((other if n % 2 else appending).append(f"t{n}"))
    await other.writer.aclose()

    assert walked(reader) == 120


async def test_nothing_is_appended_to_a_head_that_the_node_did_not_sign(
    place: Path, reader: Connection, appending: Appending
) -> None:
    """Whoever cut the log and wrote a fitting head would have it signed by the next event otherwise."""
    await appending.append("first")
    await appending.append("second")
    short = (1, "00" * 32)
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("UPDATE log_head SET entries = ?, chain = ?", short)

    with pytest.raises(BrokenHeadError, match="head of 1 entries is broken: its signature is not its node's"):
        await appending.append("third")
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("DELETE FROM log_head")
    with pytest.raises(BrokenHeadError, match="it is not there"):
        await appending.append("third")

    assert reader.run("count_log") == [(4, 2, 6)]


async def test_a_log_is_of_one_node(reader: Connection, appending: Appending) -> None:
    """Another identity may take over an empty log, and no other."""
    stranger = Identity(b"s" * 32)
    begin(reader, stranger)
    begin(reader, NODE)
    await appending.append("t")

    with pytest.raises(ForeignSeedError, match=f"seed is of key {stranger.node_id}, but key {NODE.node_id}"):
        begin(reader, stranger)
