"""The program `executor` as a person sees it: run at a terminal of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

#: Says at once what goes on, so that a test need not wait.
PROGRAM = """
import sys
from executor_sdk.cli import main, terminal
terminal.QUIET_S = 0
sys.exit(main())
"""


def run(*arguments: str, **environment: str) -> tuple[str, int]:
    """All that the terminal gets, and the exit code."""
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={**plain, "TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(ROOT), **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = bytearray()
    try:
        while part := os.read(ours, 65_536):
            seen += part
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(ours)
    return seen.decode(), process.wait(60)
