"""A small soak: some steps over two processes that are stopped and killed, their clocks set by hours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_step_is_done_once_or_as_often_as_kills_explain() -> None:
    """Whoever is answered 200 for a step has the same bytes; who turned them down gets new work."""
    options = ["--steps", "60", "--kills", "5", "--trouble-every", "0.15", "--longest-stop", "1.5", "--seconds", "60"]
    ended = subprocess.run(
        [sys.executable, "benchmarks/soak.py", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.stderr, ended.returncode) == ("", 0), ended.stdout
    result = json.loads(ended.stdout.splitlines()[-1])

    assert (result["steps"], result["turned_down"], result["doubled_unexplained"]) == (60, 3, 0)
    assert result["effects"] == 60 + result["doubled_explained"]
    assert result["kills"] > 0
    assert result["stops"] > 0
    assert result["jumps"] > 0
