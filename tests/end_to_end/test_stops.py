"""What becomes of running work when a server with a mounted executor is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from executor_sdk.client.asks import execute_body

ROOT = Path(__file__).resolve().parents[2]

#: Seconds for anything to happen.
PATIENCE_S = 20


def wait_until(holds: Callable[[], object]) -> None:
    """Look again and again, no longer than patience lasts."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Whether a server takes connections there."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Host:
    """A uvicorn process, and what its executor has written down."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder
        self.answers: list[httpx2.Response] = []

    def said(self) -> list[str]:
        """The words so far."""
        log = self.folder / "log"
        return log.read_text().split("\n")[:-1] if log.exists() else []

    def ask(self, timeout_s: float = PATIENCE_S) -> None:
        """Have the work done, and wait so long for the answer."""
        with httpx2.Client(trust_env=False, timeout=timeout_s) as http:
            body = execute_body({}, task_type="swarm")
            self.answers.append(http.post(f"http://127.0.0.1:{self.port}/agents/execute", json=body))

    def stop(self) -> None:
        """Tell the process to stop, and wait until it takes no more callers."""
        self.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(self.port))

    def go(self) -> None:
        """Let the work end."""
        (self.folder / "go").touch()


@contextmanager
def hosting(app: str, folder: Path) -> Iterator[Host]:
    """Serve `app` in a process of its own, which is killed if it does not end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", f"tests.end_to_end.stateful:{app}", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "STATEFUL_FOLDER": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    guard = threading.Timer(3 * PATIENCE_S, process.kill)
    guard.start()
    try:
        wait_until(lambda: listens(port))
        yield Host(process, port, folder)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)
        guard.cancel()


@pytest.mark.parametrize(("app", "ends"), [("mounted", ["end", "close"]), ("unheard", ["end"])])
def test_a_caller_who_waits_is_answered(app: str, ends: list[str], tmp_path: Path) -> None:
    """The server waits for its callers. The state is closed only where the executor hears of the stop."""
    with hosting(app, tmp_path) as host:
        caller = threading.Thread(target=host.ask)
        caller.start()
        wait_until(lambda: "begin" in host.said())
        host.stop()
        host.go()
        caller.join(PATIENCE_S)
        host.process.wait(PATIENCE_S)

    assert [(answer.status_code, answer.json()["candidate_output"]) for answer in host.answers] == [
        (200, {"answer": "x"})
    ]
    assert host.said() == ["open", "begin", *ends]


def test_with_its_lifespan_a_mounted_executor_lets_work_end_that_nobody_waits_for(tmp_path: Path) -> None:
    """As when it is served alone: the next copy of the call may come to another process with the same ledger."""
    with hosting("mounted", tmp_path) as host:
        with pytest.raises(httpx2.ReadTimeout):
            host.ask(0.2)
        wait_until(lambda: "begin" in host.said())
        host.stop()
        host.go()
        host.process.wait(PATIENCE_S)

    assert host.said() == ["open", "begin", "end", "close"]
    # The server's own last word: the executor has put nothing in the place of its signal handlers.
    assert host.process.returncode == -signal.SIGTERM


def test_without_it_such_work_is_lost(tmp_path: Path) -> None:
    """Plain uvicorn ends the process by the signal that it was sent, and says nothing more to what is mounted."""
    with hosting("unheard", tmp_path) as host:
        with pytest.raises(httpx2.ReadTimeout):
            host.ask(0.2)
        wait_until(lambda: "begin" in host.said())
        host.stop()
        host.process.wait(PATIENCE_S)
        assert host.process.stderr is not None
        told = host.process.stderr.read()

    assert host.said() == ["open", "begin"]
    assert "tests/stateful-1 starts with its first request" in told
    assert "Write Starlette(lifespan=executor.lifespan)" in told
