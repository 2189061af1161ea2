"""A log that somebody changed in the store's file: what is lost, moved or contradicted is found and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from kernel_stub.cli.console import main
from kernel_stub.errors import BrokenLogError, TablesDifferError
from kernel_stub.kernel import open_kernel
from kernel_stub.settings import KernelSettings
from kernel_stub.testing.stub_kernel import stub_kernel
from tests.kernel_stub.log.recorded import EVENTS, LINES
from tests.kernel_stub.scripted import Scripted

#: Two agents; nine events each.
SPEC: Final[dict[str, Any]] = {
    "run_id": "r",
    "agents": [{"agent_id": agent, "executor": "rt", "prompt": "{}"} for agent in ("a", "b")],
}


@pytest.fixture
async def settings(tmp_path: Path) -> KernelSettings:
    """A state directory in which one run has ended."""
    async with stub_kernel({"rt": Scripted()}, state_dir=tmp_path) as stub:
        await stub.run(SPEC)
    return KernelSettings(tmp_path)


def tamper(settings: KernelSettings, *statements: str) -> None:
    """Change the file as its owner could, without the triggers that stop everybody else."""
    with closing(sqlite3.connect(settings.store_path, isolation_level=None)) as connection:
        for trigger in ("events_are_never_changed", "events_are_never_removed"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("DELETE FROM events WHERE seq = 1", 1),
        ("DELETE FROM events WHERE seq = 5", 5),
        ("DELETE FROM events WHERE seq > 12", 13),
        ("DELETE FROM events", 1),
        ("UPDATE events SET seq = 100 WHERE seq = 4", 4),
    ],
)
@pytest.mark.anyio
async def test_an_event_that_was_removed_is_missed(settings: KernelSettings, statement: str, lost: int) -> None:
    """Each signature that is left holds; the numbers do not."""
    tamper(settings, statement)

    async with open_kernel(settings) as kernel:
        for check in (kernel.verify_log, kernel.replay_log):
            with pytest.raises(BrokenLogError, match=rf"^event {lost} \(not there\) is broken: the log has lost it"):
                await check()


@pytest.mark.anyio
async def test_a_whole_log_is_numbered_without_gaps(settings: KernelSettings) -> None:
    """Or each of these checks would be worth nothing."""
    async with open_kernel(settings) as kernel:
        assert await kernel.verify_log() == await kernel.log_head() == 18
        assert (await kernel.replay_log()).finalized() == 2


@pytest.mark.anyio
async def test_events_that_were_exchanged_are_found_by_the_replay(settings: KernelSettings) -> None:
    """A task cannot be claimed before it is created."""
    tamper(
        settings,
        "UPDATE events SET seq = -1 WHERE seq = 1",
        "UPDATE events SET seq = 1 WHERE seq = 3",
        "UPDATE events SET seq = 3 WHERE seq = -1",
    )

    async with open_kernel(settings) as kernel:
        with pytest.raises(BrokenLogError, match=r"^event 2 .*task is unknown"):
            await kernel.replay_log()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE steps SET task_id = 'run-r-none-1' WHERE agent_id = 'a'", "run-r-none-1 has no final candidate"),
        ("UPDATE steps SET task_id = 'run-r-b-1' WHERE agent_id = 'a'", "another candidate of its task"),
        (
            "UPDATE steps SET result = CAST(replace(CAST(result AS TEXT), 'yes', 'no') AS BLOB) WHERE agent_id = 'a'",
            "its result is not the output",
        ),
    ],
)
@pytest.mark.anyio
async def test_a_result_that_the_log_does_not_know_is_found(
    settings: KernelSettings, statement: str, reason: str
) -> None:
    """Where tables and log disagree, the log wins; the replay says where."""
    tamper(settings, statement)

    async with open_kernel(settings) as kernel:
        assert await kernel.verify_log() == 18
        with pytest.raises(TablesDifferError, match=f"^step r:a is not what the log says: .*{reason}"):
            await kernel.replay_log()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda lines: lines, 0),
        (lambda lines: lines[:3] + lines[4:], 1),
        (lambda lines: lines[::-1], 1),
        (lambda lines: lines * 2, 1),
    ],
    ids=["whole", "left out", "turned around", "doubled"],
)
def test_an_exported_log_can_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[list[bytes]], list[bytes]], code: int
) -> None:
    """Lines that were left out, turned around or doubled are each signed; the story they tell is not."""
    task = [line for event, line in zip(EVENTS, LINES, strict=True) if event["task_id"] == "run-majority-a-1"]
    exported = tmp_path / "exported.jsonl"
    exported.write_bytes(b"".join(line + b"\n" for line in change(task)))

    assert main(["log", "verify", str(exported)]) == 0
    assert main(["log", "replay", str(exported)]) == code
    assert capsys.readouterr().out == ("verified\n" if code else "verified\nreplayed\n")
