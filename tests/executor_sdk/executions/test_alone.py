"""A second ledger in memory of the same executor is told loudly, with the line to write instead."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from executor_sdk.executions.alone import Alone


def test_the_first_is_alone_and_the_second_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Until the first closes; another executor is no second one."""
    first, second = Alone("acme/m-1", tmp_path), Alone("acme/m-1", tmp_path)
    with caplog.at_level(logging.WARNING):
        assert first.check()
        assert Alone("acme/m-2", tmp_path).check()
        assert caplog.text == ""
        assert not second.check()

    assert "acme/m-1 is served more than once" in caplog.text
    assert "EXECUTOR_LEDGER=" in caplog.text
    first.close()
    assert second.check()
    second.close()


def test_a_process_that_was_killed_is_nobodys_rival(tmp_path: Path) -> None:
    """The operating system frees its lock, not a clock."""
    code = (
        "import sys; from pathlib import Path; from executor_sdk.executions.alone import Alone\n"
        "print(Alone('acme/m-1', Path(sys.argv[1])).check(), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        assert process.stdout.readline() == "True\n"
        while_it_lives = Alone("acme/m-1", tmp_path).check()
        process.kill()
        process.wait()
        afterwards = Alone("acme/m-1", tmp_path)

        assert (while_it_lives, afterwards.check()) == (False, True)
        afterwards.close()


def test_a_folder_that_cannot_be_used_stops_nobody(tmp_path: Path) -> None:
    """To warn is all this is for."""
    (tmp_path / "file").write_text("")
    assert Alone("acme/m-1", tmp_path / "file").check()
