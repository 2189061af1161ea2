"""Tests of `executor serve` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from itertools import islice
from pathlib import Path

import httpx2
import pytest
from pytest_httpserver import HTTPServer

from executor_sdk.cli.announcement import pauses_s
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import execute_request, sample_contract

ROOT = Path(__file__).parents[3]

SERVED = "tests.executor_sdk.cli.served"


@contextmanager
def serving(*arguments: str, cwd: Path = ROOT, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`executor serve` on a free port, stopped in the end; other runs of the tests are not seen by it."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "executor_sdk.cli", "serve", *arguments, "--listen", "127.0.0.1:0"],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": folder, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        guard = threading.Timer(120, process.kill)
        guard.start()
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
            guard.cancel()


def ask(task_type: str, inputs: Json) -> dict[str, Json]:
    """The body of `POST /execute`."""
    contract = sample_contract(task_id="t", task_type=task_type, inputs=inputs, expiry_ms=2**41)
    return execute_request(contract, execution_id=f"exec-{task_type}")


def said(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_serves_says_where_and_stops() -> None:
    """The line comes when the executor answers, so that a script can wait for it."""
    with serving(SERVED) as process:
        line = said(process)
        answer = httpx2.get(f"{line.rpartition(' ')[2]}/capabilities", trust_env=False)

    assert line.startswith(f"{SERVED} is served at http://127.0.0.1:")
    assert answer.json()["model_id"] == "sums-1"
    assert process.returncode == 0


@pytest.mark.parametrize("options", [(), ("--reload",)])
def test_a_signal_to_end_is_a_good_end(options: tuple[str, ...]) -> None:
    """Exit code 0; what authors log at INFO stands on standard error, the address alone on standard output."""
    with serving(SERVED, *options) as process:
        url = said(process).rpartition(" ")[2]
        answer = httpx2.post(f"{url}/execute", json=ask("sum", {"amounts": [1, 2]}), trust_env=False)
        process.send_signal(signal.SIGTERM)
        printed, logged = process.communicate(timeout=30)

    assert answer.status_code == 200
    assert process.returncode == 0
    assert "INFO tests.executor_sdk.cli.served: adds up 2 amounts" in logged
    assert printed == ""


def test_a_thread_that_never_returns_does_not_keep_the_process() -> None:
    """It was answered for at its deadline; nobody waits for it."""
    with serving(SERVED, EXECUTOR_DRAIN_S="1") as process:
        url = said(process).rpartition(" ")[2]
        answer = httpx2.post(f"{url}/execute", json=ask("stuck", {}), trust_env=False)
        process.send_signal(signal.SIGTERM)
        logged = process.communicate(timeout=30)[1]

    assert answer.status_code == 504
    assert process.returncode == 0
    assert "the process ends without it" in logged


def test_an_application_that_does_not_start_is_usage(tmp_path: Path) -> None:
    """Exit code 2: nothing was unreachable."""
    (tmp_path / "ledger").write_bytes(b"no database" * 100)

    with serving(SERVED, EXECUTOR_LEDGER=str(tmp_path / "ledger")) as process:
        printed, logged = process.communicate(timeout=30)

    assert process.returncode == 2
    assert printed == ""
    assert logged.endswith("Error: the application did not start; its log says why\n")


def test_it_registers_with_a_kernel(httpserver: HTTPServer) -> None:
    """Under the given name, with the address at which it is really served."""
    httpserver.expect_request("/api/executors/add", method="POST").respond_with_json({"ok": True})

    with serving(SERVED, "--register", httpserver.url_for(""), "--as", "sums", "--json") as process:
        served, registered = json.loads(said(process)), json.loads(said(process))

    assert registered["registered"] == "sums"
    assert httpserver.log[0][0].get_json() == {"name": "sums", "base_url": served["url"], "remote": False}


def test_a_kernel_that_refuses_is_told_and_the_executor_goes_on(httpserver: HTTPServer) -> None:
    """The kernel's own words."""
    httpserver.expect_request("/api/executors/add").respond_with_json(
        {"ok": False, "error": "name is blank"}, status=HTTPStatus.UNPROCESSABLE_ENTITY
    )

    with serving(SERVED, "--register", httpserver.url_for(""), "--as", "x") as process:
        url = said(process).rpartition(" ")[2]
        assert process.stderr is not None
        complaint = process.stderr.readline()
        healthy = httpx2.get(f"{url}/health", trust_env=False).is_success

    assert "refused x: 422" in complaint
    assert "name is blank" in complaint
    assert healthy


def test_a_kernel_that_comes_later_finds_the_executor() -> None:
    """It is told that nobody answers, and that this goes on."""
    port = free_port()

    with serving(SERVED, "--register", f"http://127.0.0.1:{port}", "--as", "sums") as process:
        said(process)
        assert process.stderr is not None
        first = process.stderr.readline()
        with HTTPServer(host="127.0.0.1", port=port) as kernel:
            kernel.expect_request("/api/executors/add").respond_with_json({"ok": True})
            registered = said(process)

    assert "does not answer (ConnectError); sums is not registered yet" in first
    assert registered == f"registered as sums with http://127.0.0.1:{port}"


def test_a_kernel_in_trouble_is_asked_again(httpserver: HTTPServer) -> None:
    """A 5xx speaks of the moment, and so does 429."""
    for status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        httpserver.expect_oneshot_request("/api/executors/add").respond_with_data("loading", status=status)
    httpserver.expect_oneshot_request("/api/executors/add").respond_with_json({"ok": True})

    with serving(SERVED, "--register", httpserver.url_for(""), "--as", "sums") as process:
        said(process)
        registered = said(process)

    assert registered.startswith("registered as sums with ")
    assert len(httpserver.log) == 3


def test_pauses_grow_up_to_a_bound() -> None:
    """However long the kernel is away."""
    assert list(islice(pauses_s(), 8)) == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert next(islice(pauses_s(), 5_000, None)) == 30


def test_a_kernel_that_stays_away_keeps_no_executor_from_its_end() -> None:
    """The announcement is given up with the server."""
    with serving(SERVED, "--register", f"http://127.0.0.1:{free_port()}", "--as", "sums") as process:
        said(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert process.returncode == 0


@pytest.mark.parametrize(("level", "is_logged"), [("info", True), ("warning", False)])
def test_the_level_of_the_log_is_chosen(level: str, is_logged: bool) -> None:
    """What authors log below it is left out; the address is told all the same."""
    with serving(SERVED, "--log-level", level) as process:
        url = said(process).rpartition(" ")[2]
        httpx2.post(f"{url}/execute", json=ask("sum", {"amounts": [1, 2]}), trust_env=False)
        process.send_signal(signal.SIGTERM)
        logged = process.communicate(timeout=30)[1]

    assert ("adds up 2 amounts" in logged) is is_logged


def test_the_environment_sets_options() -> None:
    """Over those of the executor; a body beyond the limit shows it."""
    with serving(SERVED, EXECUTOR_MAX_BODY_BYTES="10") as process:
        url = said(process).rpartition(" ")[2]
        answer = httpx2.post(f"{url}/execute", content=b"x" * 100, trust_env=False)

    assert answer.status_code == 413


def test_a_variable_that_nobody_reads_is_told_once() -> None:
    """With a guess; the executor is served all the same."""
    with serving(SERVED, EXECUTOR_TIMOUT_S="5") as process:
        assert "is served at" in said(process)
        process.send_signal(signal.SIGINT)
        _, logged = process.communicate(timeout=30)

    assert logged.count("EXECUTOR_TIMOUT_S (did you mean EXECUTOR_TIMEOUT_S?)") == 1


def test_it_serves_anew_when_a_source_changes(tmp_path: Path) -> None:
    """The new program answers at the same address."""
    source = tmp_path / "changing.py"
    text = "from executor_sdk import Executor\nexecutor = Executor('tests', '{}')\n"
    source.write_text(text.format("before"))

    with serving("changing", "--reload", cwd=tmp_path) as process:
        url = said(process).rpartition(" ")[2]
        before = _model_id(url)
        source.write_text(text.format("after-the-change"))
        after = _until_changed(url, before)

    assert (before, after) == ("before", "after-the-change")


def test_a_port_that_is_taken_is_told() -> None:
    """Exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "executor_sdk.cli", "run", SERVED, "--listen", f"127.0.0.1:{port}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _model_id(url: str) -> str:
    """The model id, asked on a connection of its own, so that the server in charge answers."""
    with httpx2.Client(trust_env=False, timeout=30) as http:
        return str(http.get(f"{url}/capabilities").json()["model_id"])


def _until_changed(url: str, before: str) -> str:
    """The first other model id."""
    give_up_s = time.monotonic() + 90
    while time.monotonic() < give_up_s:
        # The server that ends may take a connection that it does not answer any more.
        with suppress(httpx2.TransportError):
            if (name := _model_id(url)) != before:
                return name
        time.sleep(0.05)  # between two questions; the answer is the condition
    return before


STUCK = """
import asyncio
from executor_sdk import Executor

executor = Executor("tests", "stuck")


@executor.execute("sum", timeout_s=600)
async def f(x: dict) -> dict:
    await asyncio.Event().wait()
    return {"answer": ""}
"""


def test_a_stop_says_what_it_waits_for_and_a_second_ctrl_c_cuts_that(tmp_path: Path) -> None:
    """In two lines; a traceback of each call helps nobody."""
    (tmp_path / "stuck.py").write_text(STUCK)
    with serving("stuck", cwd=tmp_path) as process, httpx2.Client(trust_env=False, timeout=60) as http:
        url = said(process).rpartition(" ")[2]
        caller = threading.Thread(target=_asked_in_vain, args=(url,))
        caller.start()
        while http.get(f"{url}/health").json()["running"] == 0:
            pass
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, logged = process.communicate(timeout=30)
        caller.join(30)

    assert "stopping: calls and work in flight end first; Ctrl-C once more cuts them" in told
    assert "Traceback" not in logged
    assert process.returncode == 0


def _asked_in_vain(url: str) -> None:
    with suppress(httpx2.TransportError):
        httpx2.post(f"{url}/execute", json=ask("sum", {}), trust_env=False, timeout=60)
