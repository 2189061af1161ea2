"""Tests of `executor serve --workers`: several processes behind one address, as processes of their own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from pytest_httpserver import HTTPServer

from executor_sdk.cli import main
from executor_sdk.protocol.plain import Json
from tests.executor_sdk.cli.test_serve import SERVED, ask, said, serving


def traced(folder: Path, name: str) -> dict[str, Json]:
    """The body that has a line written, which says in which process, and waits for the gate."""
    body = ask("traced", {"file": str(folder / name), "gate": str(folder / "gate"), "agent_id": name})
    task_id = f"run-1-{name}-1"
    contract = body["task_contract"] | {"task_id": task_id}
    return body | {"execution_id": f"exec-{name}", "task_id": task_id, "task_contract": contract}


def post(url: str, body: dict[str, Json]) -> httpx2.Response:
    """`POST /execute`, on a connection of its own."""
    return httpx2.post(f"{url}/execute", json=body, trust_env=False, timeout=30)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition."""
    give_up_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < give_up_s
        time.sleep(0.02)  # between two questions; the answer is the condition


def line_of(process: subprocess.Popen[str], *words: str) -> str:
    """The next line on standard error with these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if all(word in line for word in words):
            return line
    return ""


def is_alive(pid: int) -> bool:
    """Whether the process is there; one that has ended, and that nobody has asked for its end, is not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """A third one answers beside the second; a signal to end then ends all of them, with exit code 0."""
    (tmp_path / "gate").touch()
    seen: list[int] = []

    def answers(count: int) -> bool:
        """Whether so many workers have answered by now, after one more request."""
        answer = post(url, traced(tmp_path, uuid4().hex))
        assert answer.status_code == 200
        if (pid := int(answer.json()["candidate_output"]["answer"])) not in seen:
            seen.append(pid)
        return len(seen) == count

    with serving(SERVED, "--workers", "2", EXECUTOR_LEDGER=str(tmp_path / "ledger.sqlite")) as process:
        url = said(process).rpartition(" ")[2]
        until(lambda: answers(2))
        os.kill(seen[0], signal.SIGKILL)
        told = line_of(process, "ended")
        until(lambda: answers(3))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert told == f"Error: worker {seen[0]} ended by SIGKILL; another one takes its place\n"
    assert process.returncode == 0
    assert not any(is_alive(pid) for pid in seen)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux sets a limit of another process")
def test_the_others_serve_on_where_no_worker_can_be_started(tmp_path: Path) -> None:
    """Here for want of file descriptors; it is tried again."""
    (tmp_path / "gate").touch()

    with serving(SERVED, "--workers", "2", EXECUTOR_LEDGER=str(tmp_path / "ledger.sqlite")) as process:
        url = said(process).rpartition(" ")[2]
        killed = int(post(url, traced(tmp_path, "first")).json()["candidate_output"]["answer"])
        hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, hard))
        os.kill(killed, signal.SIGKILL)
        told = line_of(process, "no worker can be started")
        answer = post(url, traced(tmp_path, "second"))

    assert "it is tried again in 30 s" in told
    assert answer.status_code == 200
    assert answer.json()["candidate_output"]["answer"] != str(killed)


def test_copies_that_reach_different_workers_are_one_work(tmp_path: Path) -> None:
    """The worker that works is stopped, so the copy must reach the other one; both callers get the same bytes."""
    body = traced(tmp_path, "file")
    ledger = str(tmp_path / "ledger.sqlite")

    with (
        serving(SERVED, "--workers", "2", EXECUTOR_LEDGER=ledger) as process,
        ThreadPoolExecutor(2) as callers,
    ):
        url = said(process).rpartition(" ")[2]
        first = callers.submit(post, url, body)
        until(lambda: (tmp_path / "file").exists() and (tmp_path / "file").read_text().endswith("\n"))
        works = int((tmp_path / "file").read_text())
        os.kill(works, signal.SIGSTOP)
        try:
            second = callers.submit(post, url, body)
            until(lambda: waiting(url) == 1)
        finally:
            os.kill(works, signal.SIGCONT)
        (tmp_path / "gate").touch()
        answers = [first.result(30), second.result(30)]

    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert (tmp_path / "file").read_text() == f"{works}\n"


def waiting(url: str) -> int:
    """How many copies wait, says the worker that answers."""
    return int(httpx2.get(f"{url}/health", trust_env=False, timeout=30).json()["joined"])


def test_the_workers_are_announced_once(httpserver: HTTPServer, tmp_path: Path) -> None:
    """By the process that started them."""
    httpserver.expect_request("/api/executors/add").respond_with_json({"ok": True})
    ledger = str(tmp_path / "ledger.sqlite")

    with serving(
        SERVED, "--workers", "3", "--register", httpserver.url_for(""), "--as", "x", "--json", EXECUTOR_LEDGER=ledger
    ) as process:
        lines = [json.loads(said(process)), json.loads(said(process))]
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=30)

    assert [line.get("registered") for line in lines] == [None, "x"]
    assert printed == ""
    assert len(httpserver.log) == 1


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    """Killed, it can tell them nothing; nobody could stop them then."""
    (tmp_path / "gate").touch()
    ledger = str(tmp_path / "ledger.sqlite")

    with serving(SERVED, "--workers", "2", EXECUTOR_LEDGER=ledger) as process:
        url = said(process).rpartition(" ")[2]
        pid = int(post(url, traced(tmp_path, "file")).json()["candidate_output"]["answer"])
        process.kill()
        process.communicate(timeout=30)  # its pipes are open until the last worker has ended
        until(lambda: not is_alive(pid))

    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/health", trust_env=False)


def test_workers_that_do_not_start_are_usage(tmp_path: Path) -> None:
    """Exit code 2, and none of them is left."""
    (tmp_path / "ledger").write_bytes(b"no database" * 100)

    with serving(SERVED, "--workers", "2", EXECUTOR_LEDGER=str(tmp_path / "ledger")) as process:
        printed, logged = process.communicate(timeout=30)

    assert process.returncode == 2
    assert printed == ""
    assert logged.endswith("Error: the application did not start; its log says why\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "set EXECUTOR_LEDGER=/path/to/ledger.sqlite"),
        (["--reload"], "--reload serves in one process"),
    ],
)
def test_what_cannot_be_done_by_several_is_refused(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do instead."""
    assert main(["serve", SERVED, "--workers", "2", *options]) == 2

    assert sentence in capsys.readouterr().err
