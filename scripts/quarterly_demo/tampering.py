"""Tampering with a copy of the signed log: one bit of one event, flipped in the file itself."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from processes import DemoError

_STORE: Final = "kernel.sqlite3"
#: Bytes that are looked for in the file: enough to be there once, few enough to lie on one page.
_SNIPPET_BYTES: Final = 48


@dataclass(frozen=True)
class Flipped:
    """Where the bit was: the event's number in the log, its kind, and what the text around it became."""

    number: int
    kind: str
    before: str
    after: str


def copy_state(state: Path, target: Path) -> None:
    """Copy a kernel's state directory, the database whole and by itself."""
    shutil.copytree(state, target, ignore=shutil.ignore_patterns(f"{_STORE}*"))
    with closing(sqlite3.connect(state / _STORE)) as source, closing(sqlite3.connect(target / _STORE)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def flip_one_bit(state: Path) -> Flipped:
    """Flip the lowest bit of one letter in the middle of the event in the middle of the log."""
    store = state / _STORE
    data = bytearray(store.read_bytes())
    for number, kind, body in _from_the_middle(store):
        start = len(body) // 2
        snippet = body[start : start + _SNIPPET_BYTES]
        if data.count(snippet) == 1:
            at = data.index(snippet) + _SNIPPET_BYTES // 2
            data[at] ^= 1
            store.write_bytes(data)
            shown = slice(at - 8, at + 8)
            after = bytes(data[shown])
            data[at] ^= 1
            return Flipped(number, kind, _text(bytes(data[shown])), _text(after))
    raise DemoError("no event of the log lies in one piece in the file")


def verify_log(state: Path) -> tuple[bool, str]:
    """What `kernel-stub log verify` says, and whether it is content."""
    command = [sys.executable, "-m", "kernel_stub.cli", "--state-dir", str(state), "log", "verify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def log_length(state: Path) -> int:
    """How many signed events there are."""
    with closing(sqlite3.connect(state / _STORE)) as database:
        (count,) = database.execute("SELECT count(*) FROM events").fetchone()
    return int(count)


def _from_the_middle(store: Path) -> Iterator[tuple[int, str, bytes]]:
    with closing(sqlite3.connect(store)) as database:
        rows = database.execute("SELECT seq, kind, CAST(body AS BLOB) FROM events ORDER BY seq").fetchall()
    middle = len(rows) // 2
    yield from (rows[middle:] + rows[:middle])


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
