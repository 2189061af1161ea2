"""Who is alive is what the operating system says, whatever clocks and silence say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor_sdk.sqlite.owners import Owner, is_alive, remove_dead


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the locks are."""
    return tmp_path / "words.sqlite3.owners"


@contextmanager
def owned(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """Another process that owns: it, its owner's id, and the process id of its child or -1."""
    program = [sys.executable, "-m", "tests.executor_sdk.sqlite.owned", str(folder), *arguments]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        owner_id, child = process.stdout.readline().split()
        try:
            yield process, owner_id, int(child)
        finally:
            process.kill()


def test_a_killed_process_is_dead_at_once(folder: Path) -> None:
    """No time has to pass; who asks first removes what it left."""
    with owned(folder) as (process, owner_id, _):
        assert is_alive(folder, owner_id)
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert [is_alive(folder, owner_id) for _ in range(2)] == [False, False]
        assert list(folder.iterdir()) == []


def test_a_stopped_process_is_alive(folder: Path) -> None:
    """It computes nothing, answers nothing, and goes on when it is let."""
    with owned(folder) as (process, owner_id, _):
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

        assert is_alive(folder, owner_id)
        process.send_signal(signal.SIGCONT)
        assert is_alive(folder, owner_id)


def test_the_child_of_a_fork_does_not_keep_its_parent_alive(folder: Path) -> None:
    """The lock would be shared with it, and outlive the parent."""
    with owned(folder, "fork") as (process, owner_id, child):
        try:
            assert is_alive(folder, owner_id)
            process.send_signal(signal.SIGKILL)
            process.wait()

            assert not is_alive(folder, owner_id)
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # it only closes and exits
def test_a_child_that_closes_what_it_got_leaves_its_parent_alive(folder: Path) -> None:
    """A fork runs the parent's exits too."""
    with Owner(folder) as owner:
        child = os.fork()
        if child == 0:
            owner.close()
            os._exit(0)
        os.waitpid(child, 0)

        assert is_alive(folder, owner.id)


def test_two_owners_in_one_process_live_and_end_apart(folder: Path) -> None:
    """Two workers of one program are two owners."""
    with Owner(folder) as first:
        with Owner(folder) as second:
            assert (is_alive(folder, first.id), is_alive(folder, second.id)) == (True, True)

        assert (is_alive(folder, first.id), is_alive(folder, second.id)) == (True, False)
    assert not is_alive(folder, first.id)
    assert list(folder.iterdir()) == []


def test_two_who_ask_at_once_do_not_take_each_other_for_the_owner(folder: Path) -> None:
    """Each holds the file for a moment while it asks."""
    import fcntl

    folder.mkdir()
    left = folder / f"{'0' * 32}.lock"
    left.touch()
    with left.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_SH)

        assert not is_alive(folder, "0" * 32)


@pytest.mark.parametrize("owner_id", ["", "host-17-abc", "../../etc/passwd", "0" * 31, "A" * 32, "0" * 32 + "\n"])
def test_what_is_no_id_of_an_owner_is_dead_and_makes_no_path(folder: Path, owner_id: str) -> None:
    """It comes from a row that anybody may have written."""
    folder.mkdir()
    (folder.parent / "victim.lock").touch()

    assert not is_alive(folder, owner_id)
    assert not is_alive(folder, "../victim")
    assert (folder.parent / "victim.lock").exists()


def test_what_cannot_be_asked_counts_as_alive(folder: Path) -> None:
    """Its work would be done twice if the guess were wrong."""
    folder.mkdir()
    (folder / f"{'0' * 32}.lock").symlink_to("nowhere")

    assert is_alive(folder, "0" * 32)


def test_a_new_owner_tidies_up_after_the_killed(folder: Path) -> None:
    """A server that crashes every minute must not fill the folder; the living stay."""
    with owned(folder) as (process, _, _), Owner(folder) as living:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Owner(folder) as newest:
            assert sorted(path.stem for path in folder.iterdir()) == sorted([living.id, newest.id])
        remove_dead(folder)
        assert [path.stem for path in folder.iterdir()] == [living.id]


def test_an_owner_that_cannot_be_leaves_nothing(folder: Path) -> None:
    """Its folder is a file."""
    folder.touch()

    with pytest.raises(FileExistsError):
        Owner(folder)
