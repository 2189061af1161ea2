"""All processes beside a ledger have one time, whatever their wall clocks say."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from executor_sdk.executions import clocks
from executor_sdk.executions.clocks import SharedClock

HOUR_MS = 3_600_000

#: A process whose wall clock is an hour ahead says what time it is by the shared clock.
AHEAD = """
import sys, time
from pathlib import Path
real = time.time_ns
time.time_ns = lambda: real() + 3_600_000_000_000
from executor_sdk.executions.clocks import SharedClock
print(SharedClock(Path(sys.argv[1]))())
"""


def said_ahead(path: Path) -> int:
    """The time of a process whose wall clock is an hour ahead."""
    return int(
        subprocess.run([sys.executable, "-c", AHEAD, str(path)], check=True, capture_output=True, text=True).stdout
    )


def test_a_process_whose_clock_is_ahead_has_the_time_of_the_first(tmp_path: Path) -> None:
    """It would otherwise find all records too old to keep."""
    clock = SharedClock(tmp_path / "clock")

    before, said, after = clock(), said_ahead(tmp_path / "clock"), clock()

    assert before <= said <= after
    assert abs(before - time.time() * 1000) < HOUR_MS / 2


def test_a_machine_that_starts_again_sets_the_clock_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The monotonic clock begins again then."""
    SharedClock(tmp_path / "clock")
    (tmp_path / "boot").write_text("another-boot\n", encoding="ascii")
    monkeypatch.setattr(clocks, "BOOT", tmp_path / "boot")
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)

    assert abs(SharedClock(tmp_path / "clock")() - 10**12) < HOUR_MS


def test_what_is_no_clock_is_set_again(tmp_path: Path) -> None:
    """A process may have been killed while it wrote."""
    (tmp_path / "clock").write_bytes(b"\xff half")

    assert abs(SharedClock(tmp_path / "clock")() - time.time() * 1000) < HOUR_MS
