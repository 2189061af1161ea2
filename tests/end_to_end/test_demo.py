"""The demo as a person runs it: real processes, a real kill, a decision, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

ROOT = Path(__file__).parents[2]
PROC = Path("/proc")
MARK = "QUARTERLY_DEMO_TEST"
#: A busy machine gets more than the minute that a person is promised.
WITHIN_S = 180


class Demo:
    """One start of the demo, whose processes can be told from all others by a mark in their environment."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = uuid4().hex
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "scripts/quarterly_demo", "--dir", str(folder), *arguments],
                cwd=ROOT,
                env={**_untraced(), "PYTHONPATH": str(ROOT), MARK: self.mark},
                stdout=output,
                stderr=subprocess.STDOUT,
                # As in a terminal: a shell's background job, such as a CI run may be, would hand on that it is ignored.
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )

    def said(self) -> str:
        """Everything that it has printed so far."""
        return self._output.read_text(encoding="utf-8")

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(WITHIN_S)

    def wait_until_it_says(self, text: str) -> None:
        """Return as soon as `text` was printed."""
        deadline = time.monotonic() + WITHIN_S
        while text not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)  # another process prints; there is nothing to wait on

    def left_running(self) -> list[str]:
        """The command lines of processes that bear its mark and still live."""
        found = []
        for process in PROC.iterdir():
            try:
                if f"{MARK}={self.mark}".encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:  # not a process, not ours, or gone since
                continue
        return found


def _untraced() -> dict[str, str]:
    """Our environment without coverage: it would slow down what is timed, and nothing outlives a kill to be counted."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


needs_proc = pytest.mark.skipif(not (PROC / "self" / "environ").exists(), reason="tells processes apart by /proc")


@needs_proc
def test_the_demo_does_what_it_promises(tmp_path: Path) -> None:
    """A decision after a kill, one piece of work for many calls, a log that holds and one that does not."""
    demo = Demo(tmp_path)

    assert demo.ended() == 0, demo.said()

    said = re.sub(r"\s+", " ", demo.said())
    assert "no agreement; all are told NEED_MORE_EVIDENCE" in said
    assert re.search(r"kill -9 \d+: worker-1 dies in the middle of analyst-", said)
    assert re.search(r"worker-2 resumes analyst-\w, attempt \d, with the same bytes", said)
    assert re.search(r"caller hung up ([3-9]|\d\d)\N{MULTIPLICATION SIGN}, work done once", said)
    assert "work done twice" not in said
    assert "decision RESTATE 3" in said
    assert "lines 5063, 5463" in said
    assert re.search(r"log verify: verified \(\d+ events", said)
    assert re.search(r"log verify of the copy: Error: event \d+ \([A-Z_]+ of run-analysis-run-001-analyst-", said)
    assert "Delete line 5463" in said
    assert demo.left_running() == []


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C ends kernel, executors and workers too."""
    demo = Demo(tmp_path)
    demo.wait_until_it_says("worker-1 claims")

    demo.process.send_signal(number)

    assert demo.ended() == 130, demo.said()
    assert "nothing is left running" in demo.said()
    assert demo.left_running() == []


@needs_proc
def test_when_the_kernel_dies_the_demo_fails_and_leaves_nothing_running(tmp_path: Path) -> None:
    """What it started before goes with it, and a sentence says where to look."""
    demo = Demo(tmp_path)
    demo.wait_until_it_says("worker-1 claims")
    found = re.search(r"kernel +http\S+, process (\d+)", demo.said())
    assert found is not None

    os.kill(int(found.group(1)), signal.SIGKILL)

    assert demo.ended() == 1, demo.said()
    assert "The demo failed:" in demo.said()
    assert "Traceback" not in demo.said()
    assert demo.left_running() == []


def test_a_file_without_sales_is_told_before_anything_starts(tmp_path: Path) -> None:
    """One sentence, no traceback."""
    sales = tmp_path / "empty.csv"
    sales.write_bytes(b"region,amount\n")

    demo = Demo(tmp_path, "--sales", str(sales))

    assert demo.ended() == 1
    assert "The demo failed: the file has no column invoice" in demo.said()
    assert "Traceback" not in demo.said()
