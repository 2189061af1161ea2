"""The writer's thread outlives the data of every caller, and where it ends every caller hears it."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from executor_sdk.sqlite.connection import Connection
from executor_sdk.sqlite.writer import Writer
from tests.executor_sdk.sqlite.words import SaturatedError, WordError, adding, opened, words_in

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "words.sqlite3"


@asynccontextmanager
async def writing(place: Path, **options: Any) -> AsyncIterator[Writer]:
    """A writer on the file."""
    writer = Writer(
        lambda: opened(place, busy_timeout_s=0.05), error=WordError, saturated=SaturatedError, name="store", **options
    )
    try:
        with anyio.fail_after(10):
            yield writer
    finally:
        await writer.aclose()


class Gate:
    """Work that keeps the thread until it is opened, so that what comes behind it shares one group."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()

    def __call__(self, _: Connection) -> None:
        self.reached.set()
        self._open.wait(10)

    def open(self) -> None:
        self._open.set()


async def outcomes(writer: Writer, *works: Callable[[Connection], object]) -> list[object]:
    """What each caller gets when all of them share one group."""
    gate = Gate()
    first = asyncio.create_task(writer.run(gate))
    await anyio.to_thread.run_sync(gate.reached.wait)
    others = [asyncio.create_task(writer.run(work)) for work in works]
    await asyncio.sleep(0)
    gate.open()
    await first
    return list(await asyncio.gather(*others, return_exceptions=True))


class Body:
    """Something large."""


def _with(_body: Body, _: Connection) -> None:
    """Work that holds it."""


def raising(failure: BaseException) -> Callable[[Connection], object]:
    """Work that fails with something written."""

    def work(connection: Connection) -> object:
        adding("half")(connection)
        raise failure

    return work


@pytest.mark.parametrize(
    ("word", "times"),
    [("\ud800", 1.0), ("big", 2**64), ("odd", object()), ("nan", float("nan")), ("before", 1.0)],
    ids=["surrogate", "integer", "type", "nan", "duplicate"],
)
async def test_data_that_cannot_be_written_fails_its_caller_alone(place: Path, word: object, times: object) -> None:
    """Its neighbours in the group commit, and the writer goes on."""
    async with writing(place) as writer:
        [_, failed, _] = await outcomes(writer, adding("before"), adding(word, times), adding("after"))
        await writer.run(adding("later"))

        assert isinstance(failed, WordError)
        assert str(failed).startswith("the store refused: ")
        assert writer.fault is None
    assert words_in(place) == ["before", "after", "later"]


@pytest.mark.parametrize(
    "failure", [ValueError("no"), KeyError("no"), WordError("no"), MemoryError("no")], ids=lambda it: type(it).__name__
)
async def test_what_work_raises_reaches_its_own_caller(place: Path, failure: Exception) -> None:
    """As it was raised, and with nothing of it written."""
    async with writing(place) as writer:
        [_, failed, _] = await outcomes(writer, adding("before"), raising(failure), adding("after"))

        assert failed is failure
    assert words_in(place) == ["before", "after"]


@pytest.mark.parametrize("failure", [StopIteration(), GeneratorExit(), asyncio.CancelledError()], ids=repr)
async def test_what_no_future_can_carry_becomes_an_error(place: Path, failure: BaseException) -> None:
    """Its caller would wait without an end, or take it for a cancellation of its own."""
    async with writing(place) as writer:
        [failed, _] = await outcomes(writer, raising(failure), adding("after"))

        assert isinstance(failed, WordError)
        assert type(failure).__name__ in str(failed)
    assert words_in(place) == ["after"]


async def test_an_interrupt_is_its_callers(place: Path) -> None:
    """It passes through the writer's thread, which lives."""
    async with writing(place) as writer:
        future = asyncio.get_running_loop().create_future()

        def work(_: Connection) -> None:
            raise KeyboardInterrupt

        async def caller() -> None:
            try:
                await writer.run(work)
            except KeyboardInterrupt:
                future.set_result("interrupted")

        await asyncio.gather(caller())

        assert await future == "interrupted"
        await writer.run(adding("later"))
    assert words_in(place) == ["later"]


async def test_work_that_saw_what_was_taken_back_is_done_again(place: Path) -> None:
    """It must not answer from rows that never were."""
    async with writing(place) as writer:

        def count(connection: Connection) -> int:
            return len(connection.run("list_words"))

        seen = await outcomes(writer, raising(ValueError("no")), count)

        assert seen[1] == 0


async def test_a_group_shares_one_commit(place: Path) -> None:
    """A hundred callers wait for the disk once."""
    async with writing(place) as writer:
        await outcomes(writer, *(adding(f"word {n}") for n in range(100)))

        assert writer.commits == 2
    assert len(words_in(place)) == 100


async def test_a_commit_that_fails_fails_its_group_and_no_later_one(place: Path) -> None:
    """Nobody of the group is told that it was written."""
    async with writing(place) as writer:
        failed = await outcomes(
            writer, adding("before"), lambda connection: connection.run("promise_word", word="never comes")
        )
        await writer.run(adding("later"))

        assert [str(failure) for failure in failed] == ["the store could not write: FOREIGN KEY constraint failed"] * 2
        assert failed[0] is not failed[1]
    assert words_in(place) == ["later"]


async def test_a_file_that_another_process_holds_is_told_and_waited_for_no_longer(place: Path) -> None:
    """The next group finds the file free."""
    async with writing(place) as writer:
        await writer.run(adding("before"))
        with closing(sqlite3.connect(place, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(WordError, match="the store could not write: database is locked"):
                await writer.run(adding("locked out"))
        await writer.run(adding("after"))
    assert words_in(place) == ["before", "after"]


async def test_a_full_disk_is_told_and_nothing_is_half_written(place: Path) -> None:
    """The small ones of the group still fit."""
    async with writing(place) as writer:
        await writer.run(adding("before"))
        await writer.run(lambda connection: connection.run("fill_disk"))

        [small, large] = await outcomes(writer, adding("small"), adding("x" * 100_000))

        assert isinstance(large, WordError)
        assert "full" in str(large)
        assert small == []
    assert words_in(place) == ["before", "small"]


async def test_a_broken_connection_is_opened_again(place: Path) -> None:
    """The next group knows nothing of it."""
    async with writing(place) as writer:
        with pytest.raises(WordError, match="could not write"):
            await writer.run(lambda connection: connection.close())
        await writer.run(adding("after"))
    assert words_in(place) == ["after"]


async def test_a_file_that_cannot_be_opened_is_told_until_it_can(place: Path) -> None:
    """Every caller hears why, and the writer tries again."""
    folder = anyio.Path(place)
    await folder.mkdir()
    async with writing(place) as writer:
        for _ in range(2):
            with pytest.raises(WordError, match="cannot be opened"):
                await writer.run(adding("no"))
        await folder.rmdir()
        await writer.run(adding("yes"))
    assert words_in(place) == ["yes"]


async def test_a_rollback_is_told_to_those_who_cache(place: Path) -> None:
    """What they read in the transaction is there no more."""
    told: list[str] = []
    async with writing(place, on_rollback=lambda: told.append("rolled back")) as writer:
        with pytest.raises(ValueError, match="no"):
            await writer.run(raising(ValueError("no")))

    assert told == ["rolled back"]


async def test_what_a_group_shares_is_written_once_and_within_its_transaction(place: Path) -> None:
    """It is there once for each commit, and never for one that was rolled back."""

    def share(connection: Connection) -> None:
        adding(f"after {len(connection.run('list_words'))}")(connection)

    async with writing(place, before_commit=share) as writer:
        await outcomes(writer, adding("a"), adding("b"))
        await outcomes(writer, adding("c"), raising(ValueError("no")), adding("d"))

    # A commit for each gate, one for the first group, and one each for what ran alone.
    assert words_in(place) == ["after 0", "a", "b", "after 3", "after 4", "c", "after 6", "d", "after 8"]


async def test_where_what_a_group_shares_cannot_be_written_nothing_of_the_group_is(place: Path) -> None:
    """Each caller of the group hears it, and the next group is served."""
    refused = ["once"]

    def share(connection: Connection) -> None:
        if refused and connection.run("list_words"):
            connection.run("add_word", word=refused.pop(), times=object())

    async with writing(place, before_commit=share) as writer:
        heard = await outcomes(writer, adding("a"), adding("b"))
        await writer.run(adding("c"))

    assert [type(failure) for failure in heard] == [WordError, WordError]
    assert words_in(place) == ["c"]


async def test_where_the_thread_ends_every_caller_hears_it_at_once(place: Path) -> None:
    """Those of the group, those behind it, and those who come later; the health check sees it."""

    def broken() -> None:
        raise SystemExit("a fault of ours")

    async with writing(place, on_rollback=broken) as writer:
        heard = await outcomes(writer, raising(ValueError("no")), *(adding(f"word {n}") for n in range(400)))
        with pytest.raises(WordError, match="the writer of the store has ended: SystemExit"):
            await writer.run(adding("later"))

        assert {type(failure) for failure in heard} == {WordError}
        assert writer.fault == "the writer of the store has ended: SystemExit('a fault of ours')"


async def test_a_caller_beyond_the_bound_is_refused_at_once(place: Path) -> None:
    """The queue has a length; those in it are served."""
    async with writing(place, max_waiting=3) as writer:
        gate = Gate()
        first = asyncio.create_task(writer.run(gate))
        await anyio.to_thread.run_sync(gate.reached.wait)
        waiting = [asyncio.create_task(writer.run(adding(f"word {n}"))) for n in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(SaturatedError, match="3 callers wait for the store already"):
            await writer.run(adding("too many"))
        gate.open()
        await asyncio.gather(first, *waiting)
        await writer.run(adding("later"))
    assert words_in(place) == ["word 0", "word 1", "later"]


async def test_a_caller_that_was_cancelled_hurts_nobody(place: Path) -> None:
    """What it asked for is written all the same."""
    async with writing(place) as writer:
        gate = Gate()
        first = asyncio.create_task(writer.run(gate))
        await anyio.to_thread.run_sync(gate.reached.wait)
        gone, stays = (asyncio.create_task(writer.run(adding(word))) for word in ("gone", "stays"))
        await asyncio.sleep(0)
        gone.cancel()
        gate.open()
        await asyncio.gather(first, stays)
    assert words_in(place) == ["gone", "stays"]


async def test_callers_of_several_loops_share_a_writer(place: Path) -> None:
    """Each is answered in its own; one whose loop has closed meanwhile stops nobody."""
    async with writing(place) as writer:

        def in_a_loop_of_its_own(word: str) -> None:
            asyncio.run(writer.run(adding(word)))

        async def impatient() -> None:
            with anyio.move_on_after(0):
                await writer.run(adding("left alone"))

        gate = Gate()
        first = asyncio.create_task(writer.run(gate))
        await anyio.to_thread.run_sync(gate.reached.wait)
        await anyio.to_thread.run_sync(asyncio.run, impatient())
        gate.open()
        await first
        await anyio.to_thread.run_sync(in_a_loop_of_its_own, "other loop")
    assert words_in(place) == ["left alone", "other loop"]


async def test_closing_serves_those_who_wait_and_refuses_the_rest(place: Path) -> None:
    """Nothing that was asked before is lost."""
    async with writing(place) as writer:
        gate = Gate()
        first = asyncio.create_task(writer.run(gate))
        await anyio.to_thread.run_sync(gate.reached.wait)
        waiting = asyncio.create_task(writer.run(adding("in time")))
        await asyncio.sleep(0)
        closing_it = asyncio.create_task(writer.aclose())
        await asyncio.sleep(0)
        with pytest.raises(WordError, match=r"^the store is closed$"):
            await writer.run(adding("late"))
        gate.open()
        await asyncio.gather(first, waiting, closing_it)
        await writer.aclose()

        assert writer.fault == "the store is closed"
    assert words_in(place) == ["in time"]


COUNTER = """if True:
    import asyncio, sys
    from executor_sdk.sqlite.writer import Writer
    from tests.executor_sdk.sqlite.words import WordError, opened

    def count(connection):
        [(times,)] = connection.run("how_often", word="said")
        connection.run("set_times", word="said", times=times + 1)

    async def main():
        writer = Writer(lambda: opened(sys.argv[1], busy_timeout_s=20), error=WordError, name="store")
        await writer.run(lambda _: None)
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(int(sys.argv[2])):
            await writer.run(count)
        await writer.aclose()

    asyncio.run(main())
"""


def test_processes_that_read_before_they_write_wait_for_each_other(place: Path) -> None:
    """No busy timeout helps a transaction that has read and only then wants to write: it is refused as locked."""
    with closing(opened(place)) as connection:
        adding("said", 0.0)(connection)

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTER, str(place), "100"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)

    assert [process.returncode for process in processes] == [0, 0, 0]
    with closing(opened(place)) as connection:
        assert connection.run("how_often", word="said") == [(300.0,)]


async def test_an_idle_writer_holds_nothing_of_its_callers(place: Path) -> None:
    """A body of megabytes must not stay until the next caller comes."""

    async with writing(place) as writer:
        body = Body()
        gone = weakref.ref(body)
        await writer.run(partial(_with, body))
        del body
        while gone() is not None:
            gc.collect()
            await asyncio.sleep(0.01)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is what is tested
def test_the_child_of_a_fork_is_told_that_it_has_no_writer(place: Path) -> None:
    """Its copy of the object has no thread, so that a caller would wait without an end."""
    loop = asyncio.new_event_loop()
    writer = Writer(lambda: opened(place), error=WordError, name="store")
    loop.run_until_complete(writer.run(adding("parent")))

    child = os.fork()
    if child == 0:
        told = 1
        try:
            asyncio.set_event_loop(None)
            asyncio.new_event_loop().run_until_complete(writer.run(adding("child")))
        except WordError as error:
            told = 0 if str(error) == "the store has no writer in this process" else 2
        finally:
            os._exit(told)
    (_, status) = os.waitpid(child, 0)
    loop.run_until_complete(writer.aclose())
    loop.close()

    assert os.waitstatus_to_exitcode(status) == 0
