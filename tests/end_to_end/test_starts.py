"""What is told at the start of real servers: a ledger of each process for itself, and one that cannot be opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from executor_sdk.client.asks import execute_body

ROOT = Path(__file__).resolve().parents[2]
LEDGERED = "tests.end_to_end.ledgered"


@contextmanager
def started(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A server as its own process, whose standard error can be read; it is told to end, and killed if it does not."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(30, process.kill)
    guard.start()
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)
        guard.cancel()


def line_with(process: subprocess.Popen[str], words: str) -> str:
    """The first line on standard error that says so; nothing if the process ends without it."""
    assert process.stderr is not None
    return next((line for line in process.stderr if words in line), "")


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def unusable(tmp_path: Path) -> str:
    """A path where no ledger can be."""
    (tmp_path / "file").write_text("no folder")
    return str(tmp_path / "file" / "ledger.sqlite")


def test_two_workers_with_a_ledger_each_are_told(port: int) -> None:
    """Loudly, with the line to write instead: copies that reach the other worker are done twice."""
    with started("uvicorn", "tests.smallest:executor", "--workers", "2", "--port", str(port)) as process:
        told = line_with(process, "served more than once")

    assert told.startswith("acme/m-1 is served more than once on this machine, each time with a ledger in memory: ")
    assert "write Executor(..., ledger='/path/to/ledger.sqlite')" in told
    assert "EXECUTOR_LEDGER=/path/to/ledger.sqlite" in told


def test_two_workers_with_one_ledger_are_not_told(port: int, tmp_path: Path) -> None:
    """They share a file; both start."""
    command = ("uvicorn", f"{LEDGERED}:executor", "--workers", "2", "--port", str(port))
    with started(*command, LEDGERED_PATH=str(tmp_path / "ledger.sqlite")) as process:
        assert process.stderr is not None
        said: list[str] = []
        while sum("Application startup complete" in line for line in said) < 2:
            said.append(process.stderr.readline())

    assert "served more than once" not in "".join(said)


@pytest.mark.parametrize(
    "command",
    [
        ("executor_sdk.cli", "serve", "tests.smallest:executor", "--listen", "127.0.0.1:0"),
        ("uvicorn", f"{LEDGERED}:executor", "--port", "0"),
        ("uvicorn", f"{LEDGERED}:mounted", "--port", "0"),
    ],
    ids=["served", "by-uvicorn", "mounted"],
)
def test_a_ledger_that_cannot_be_opened_stops_the_start(command: tuple[str, ...], unusable: str) -> None:
    """A healthy server that fails every request would be worse."""
    with started(*command, LEDGERED_PATH=unusable, EXECUTOR_LEDGER=unusable) as process:
        told = line_with(process, f"{unusable}.owners cannot be used for the locks of processes")
        code = process.wait(20)

    assert "LedgerError" in told
    assert code > 0


def test_an_option_that_cannot_be_read_stops_the_start_of_any_server() -> None:
    """One line says which variable, and what to write."""
    with started("uvicorn", "tests.smallest:executor", "--port", "0", EXECUTOR_THREADS="many") as process:
        assert process.stderr is not None
        told = process.stderr.read()
        code = process.wait(20)

    assert "EXECUTOR_THREADS='many'; it must be a whole number, at least 1: write EXECUTOR_THREADS=40\n" in told
    assert "Traceback" not in told
    assert code > 0


@pytest.mark.parametrize(
    "command",
    [
        ("uvicorn", "tests.end_to_end.stateful:stateless", "--port", "0"),
        ("uvicorn", "tests.end_to_end.stateful:around_stateless", "--port", "0"),
        ("executor_sdk.cli", "serve", "tests.end_to_end.stateful:stateless", "--listen", "127.0.0.1:0"),
    ],
    ids=lambda command: f"{command[0]} {command[-3]}",
)
def test_a_lifespan_that_fails_stops_the_start(command: tuple[str, ...], tmp_path: Path) -> None:
    """With a sentence in the log, and what was raised above it."""
    with started(*command, STATEFUL_FOLDER=str(tmp_path)) as process:
        cause = line_with(process, "ConnectionError: there is no database")
        told = line_with(process, "no_pools raised ConnectionError, so this executor does not start")
        code = process.wait(20)

    assert cause
    assert told
    assert code > 0


def test_a_mount_that_no_start_reaches_says_so_with_every_answer(port: int, unusable: str) -> None:
    """503, which is asked again, and an unhealthy health from the first question on."""
    with started("uvicorn", f"{LEDGERED}:unheard", "--port", str(port), LEDGERED_PATH=unusable) as process:
        assert line_with(process, "Uvicorn running")
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}/agents", trust_env=False) as http:
            health = http.get("/health")
            answer = http.post("/execute", json=execute_body({}, task_type="swarm"))
            later = http.get("/health")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "LEDGER_FAILED")
    assert [health.status_code, later.status_code] == [503, 503]
    assert health.json()["status"] == "unhealthy"
