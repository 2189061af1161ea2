"""Clocks that no change of the wall clock moves: one of a process, and one of all processes beside a file."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

#: A name of the time since the machine started. Linux has it; where it is missing, each process has its own time.
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class SteadyClock:
    """Epoch milliseconds that no change of the wall clock moves while the process lives."""

    def __init__(self) -> None:
        self._ahead_ms = _ahead_ms()

    def __call__(self) -> int:
        """Now."""
        return time.monotonic_ns() // 1_000_000 + self._ahead_ms


class SharedClock(SteadyClock):
    """Epoch milliseconds that are equal in all processes beside a file, until the machine starts again.

    All processes of a machine have one monotonic clock. How far the epoch is ahead of it is said by the first process
    alone: one that is started after the wall clock was set by hours would otherwise find every record too old to keep.
    """

    def __init__(self, path: Path) -> None:
        """`path` is where the first process says it. Raises OSError if it cannot be read or written."""
        super().__init__()
        if BOOT.exists():
            self._ahead_ms = _agreed(path, BOOT.read_text(encoding="ascii").strip(), self._ahead_ms)


def _agreed(path: Path, boot: str, ours_ms: int) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    said = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(said, fcntl.LOCK_EX)
        then, _, ahead_ms = os.pread(said, 128, 0).decode("ascii", "replace").partition(" ")
        if then == boot and ahead_ms.removeprefix("-").isdecimal():
            return int(ahead_ms)
        os.ftruncate(said, 0)
        os.pwrite(said, f"{boot} {ours_ms}".encode(), 0)
        return ours_ms
    finally:
        os.close(said)


def _ahead_ms() -> int:
    return (time.time_ns() - time.monotonic_ns()) // 1_000_000
