"""`serve`: API, worker and store in one process, and what a signal does to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx2
import pytest

from executor_sdk import Executor
from executor_sdk.testing.server import serve
from kernel_stub.cli import main

Run: TypeAlias = Callable[..., tuple[int, str, str]]

PROGRAM: Final = (sys.executable, "-m", "kernel_stub.cli", "--state-dir")

#: Seconds in which a program must have started, or ended.
SOON_S: Final = 20


class Gate:
    """An executor that tells when a step has begun, and ends it when it is let."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.effects: list[str] = []
        self.executor = Executor(provider_family="tests", model_id="gate-1")

        @self.executor.execute("swarm")
        def wait(inputs: dict[str, Any]) -> dict[str, Any]:
            self.effects.append(inputs["agent_id"])
            self.begun.set()
            self.open.wait(SOON_S)
            return {"decision": "GO", "answer": "done"}


@pytest.fixture
def gate() -> Iterator[Gate]:
    """The gate; whatever still waits at the test's end is let go."""
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on the state directory: exit code, standard output, standard error."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(["--state-dir", str(tmp_path / "state"), *arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run_command


def test_serve_does_a_submitted_run_and_ends_with_0_on_sigterm(tmp_path: Path, run: Run, gate: Gate) -> None:
    """`submit --wait`, from another process, sees the decision; a signal then ends the server in good order."""
    gate.open.set()
    with serve(gate.executor) as executor, _program(tmp_path, "serve", "--listen", "127.0.0.1:0") as server:
        url = _url(server)
        added = httpx2.post(f"{url}/api/executors/add", json={"name": "rt", "base_url": executor.url})
        code_of_wait, stdout, stderr = run("run", "submit", str(_spec(tmp_path)), "--wait")

        server.send_signal(signal.SIGTERM)
        code = server.wait(SOON_S)

    assert added.json() == {"ok": True}
    assert code_of_wait == 0, stderr
    assert json.loads(stdout)["result"]["aggregation"]["final_decision"] == "GO"
    assert "RUN_FINALIZED FINALIZED decision=GO answer=DONE" in stderr
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_step_in_flight_ends_before_the_server_does(
    tmp_path: Path, run: Run, gate: Gate, number: signal.Signals
) -> None:
    """A signal stops claims, not the step under way: its result is there when the process has ended."""
    with serve(gate.executor) as executor, _program(tmp_path, "serve", "--listen", "127.0.0.1:0") as server:
        _url(server)
        run("executors", "add", "rt", executor.url)
        run("run", "submit", str(_spec(tmp_path)), "--kickoff")
        assert gate.begun.wait(SOON_S)

        server.send_signal(number)
        gate.open.set()
        code = server.wait(SOON_S)

    watched = json.loads(run("run", "watch", "r")[1])
    assert code == 0
    assert (watched["status"], watched["counts"]["succeeded"]) == ("FINALIZED", 1)


def test_a_second_signal_ends_a_server_that_still_drains(tmp_path: Path, run: Run, gate: Gate) -> None:
    """Who asks twice does not want to wait; the step is resumed by the next worker."""
    with serve(gate.executor) as executor, _program(tmp_path, "serve", "--listen", "127.0.0.1:0") as server:
        url = _url(server)
        run("executors", "add", "rt", executor.url)
        run("run", "submit", str(_spec(tmp_path)), "--kickoff")
        assert gate.begun.wait(SOON_S)

        server.send_signal(signal.SIGTERM)
        _wait_until_closed(url)
        server.send_signal(signal.SIGTERM)
        code = server.wait(SOON_S)
        gate.open.set()

    assert code == -signal.SIGTERM


def test_a_worker_of_its_own_resumes_what_a_killed_server_left(tmp_path: Path, run: Run, gate: Gate) -> None:
    """`kill -9` of the server in the middle of a step; a worker goes on with the same attempt, work done once."""
    with serve(gate.executor) as executor:
        with _program(tmp_path, "serve", "--listen", "127.0.0.1:0", "--lease-ms", "300") as server:
            _url(server)
            run("executors", "add", "rt", executor.url)
            run("run", "submit", str(_spec(tmp_path)), "--kickoff")
            assert gate.begun.wait(SOON_S)
            server.kill()
        with _program(tmp_path, "run", "worker", "--poll-ms", "25") as worker:
            gate.open.set()
            followed, _, events = run("run", "watch", "r", "--follow")
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(SOON_S)

    assert (followed, code) == (0, 0), events
    assert gate.effects == ["a"]
    assert "STEP_LEASE_EXPIRED" in events
    assert run("log", "verify") == (0, "verified\n", "")


def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path, run: Run) -> None:
    """Exit code 1, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, stdout, stderr = run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    assert (code, stdout) == (1, "")
    assert stderr.startswith("Error: ")
    assert "already in use" in stderr


def test_an_exported_log_is_verified_and_a_flipped_bit_is_found(tmp_path: Path, run: Run, gate: Gate) -> None:
    """The copy of a log holds by itself; with one bit flipped the event that it broke is named."""
    gate.open.set()
    with serve(gate.executor) as executor:
        run("executors", "add", "rt", executor.url)
        run("run", "submit", str(_spec(tmp_path)), "--kickoff")
        assert run("run", "worker", "--once") == (0, "", "")
    copy = tmp_path / "events.jsonl"
    copy.write_text(run("log", "export")[1])

    good = run("log", "verify", str(copy))
    lines = copy.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"run-r-a-1", b"run-r-a-0")
    copy.write_bytes(b"".join(lines))
    bad = run("log", "verify", str(copy))

    assert good[:2] == (0, "verified\n")
    assert bad[:2] == (1, "")
    assert bad[2].startswith("Error: event 3 (")
    assert len(lines) == int(run("log", "head")[1].splitlines()[0])


@pytest.mark.parametrize(("executor", "cancelled", "outcome"), [("nobody", False, "FAILED"), ("rt", True, "CANCELLED")])
def test_following_a_run_that_came_to_nothing_exits_with_1(
    tmp_path: Path, run: Run, executor: str, cancelled: bool, outcome: str
) -> None:
    """A script sees by the exit code whether there is a decision; `why` says the rest."""
    spec = _spec(tmp_path, executor=executor, retry={"max_attempts": 1}, aggregation={"null_policy": {"chain": []}})
    run("run", "submit", str(spec), "--kickoff")
    if cancelled:
        run("run", "cancel", "r")
    run("run", "worker", "--once")

    code, stdout, stderr = run("run", "watch", "r", "--follow")

    assert (code, json.loads(stdout)["status"]) == (1, outcome), stderr
    assert run("run", "why", "r")[0] == 0
    reasons = [letter["reason"] for letter in json.loads(run("run", "dead-letters")[1])]
    assert reasons == ([] if cancelled else ["executor not found: nobody"])


def _spec(tmp_path: Path, *, executor: str = "rt", **policies: Any) -> Path:
    path = tmp_path / "spec.json"
    agents = [{"agent_id": "a", "executor": executor, "prompt": "p"}]
    path.write_text(json.dumps({"run_id": "r", "agents": agents, **policies}))
    return path


@contextmanager
def _program(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, started; killed at the end if it has not ended by itself."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [*PROGRAM, str(tmp_path / "state"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        try:
            yield program
        finally:
            program.kill()


def _url(server: subprocess.Popen[str]) -> str:
    """The address that the server tells on its first line."""
    assert server.stdout is not None
    line = server.stdout.readline().strip()
    assert line.startswith("kernel-stub listens on http://127.0.0.1:"), line
    return line.rpartition(" ")[2]


def _wait_until_closed(url: str) -> None:
    """Until no new connection is taken: the server has seen the signal."""
    while True:
        try:
            httpx2.get(f"{url}/api/node/status", timeout=SOON_S)
        except httpx2.TransportError:
            return
