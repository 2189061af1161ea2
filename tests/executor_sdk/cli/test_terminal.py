"""Tests of what the program shows at a terminal, and that it is plain anywhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from executor_sdk.cli.terminal import printable
from tests.executor_sdk.cli import at_terminal

SERVED = "tests.executor_sdk.cli.served"

ESCAPE = "\x1b"


def test_a_terminal_gets_a_table() -> None:
    """With colours; the fields of each handler stand in its row."""
    seen, code = at_terminal.run("describe", SERVED)

    assert code == 0
    assert ESCAPE in seen
    assert "task type" in seen
    assert "Adds up amounts." in seen


def test_findings_and_grades_are_tables_at_a_terminal() -> None:
    """What is grave is coloured."""
    advised, code = at_terminal.run("doctor", "tests.executor_sdk.cli.ill:nameless")
    assert code == 0
    assert f"{ESCAPE}[33madvice{ESCAPE}[0m" in advised

    graded, code = at_terminal.run("conformance", f"{SERVED}:failing", "--only", "EXC-VERIFY-003")
    assert code == 1
    assert f"{ESCAPE}[1;31mfail" in graded


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_asks_for_plain_text_gets_lines(environment: dict[str, str]) -> None:
    """The same lines as a pipe."""
    seen, _ = at_terminal.run("call", SERVED, **environment)
    described, _ = at_terminal.run("describe", SERVED, **environment)

    assert ESCAPE not in seen + described
    assert "inputs: amounts array, [note any]" in described


def test_a_terminal_is_told_what_goes_on() -> None:
    """While a command waits; programs are told nothing in between."""
    assert "waits for http://127.0.0.1:" in at_terminal.run("call", SERVED)[0]
    assert "of 34: GET /health answers 2xx" in at_terminal.run("conformance", SERVED, "--only", "EXC-HEALTH")[0]

    seen, _ = at_terminal.run("call", SERVED, "--json")
    assert json.loads(seen)["status"] == 200


def test_a_pipe_gets_neither_colours_nor_progress() -> None:
    """On neither of the two streams."""
    ended = subprocess.run(
        [sys.executable, "-c", at_terminal.PROGRAM, "conformance", SERVED, "--only", "EXC-HEALTH"],
        cwd=at_terminal.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.stdout.endswith("(33 not-tested, 1 pass)\n")
    assert ended.stderr == ""
    assert ESCAPE not in ended.stdout


def test_what_others_wrote_cannot_command_the_terminal() -> None:
    """An escape sequence becomes a visible mark; lines stay lines."""
    mark = "\N{REPLACEMENT CHARACTER}"
    assert printable("a\x1b[2Jb\r\x9bc\n\td") == f"a{mark}[2Jb{mark}{mark}c\n\td"


def test_a_table_has_no_empty_columns_and_none_is_empty(tmp_path: Path) -> None:
    """A handler without a text of its own shows no column for that; who conforms gets the verdict only."""
    (tmp_path / "app.py").write_text(
        "from executor_sdk import Executor\n"
        "executor = Executor('tests', 'one')\n"
        "@executor.execute\n"
        "def f(inputs: dict) -> dict:\n"
        "    return {'answer': 'x'}\n"
    )
    path = os.pathsep.join([str(tmp_path), str(at_terminal.ROOT)])
    described, _ = at_terminal.run("describe", "app", PYTHONPATH=path)
    conforming, code = at_terminal.run("conformance", "app", PYTHONPATH=path)

    assert "deadline" in described
    assert "what it does" not in described
    assert code == 0
    assert "requirement " not in conforming
    assert "the executor conforms" in conforming
