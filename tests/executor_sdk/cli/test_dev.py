"""Tests of `executor dev` as a process of its own: reload, breakage, traffic, the run, and what is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.executor_sdk.cli.test_serve import ROOT, ask

#: As if the kernel's libraries were not installed.
WITHOUT_KERNEL: Final = """
import sys
sys.modules["aiohttp"] = sys.modules["nacl"] = None
from executor_sdk.cli import main
sys.exit(main())
"""

APP: Final = """
from executor_sdk import Executor, Refuse

executor = Executor("tests", "{name}")


@executor.execute("swarm")
def f(x: dict) -> dict:
    if x.get("refuse"):
        raise Refuse("NO_ROWS", "the file has no rows")
    return {{"answer": "42", "decision": "GROWTH"}}
"""

#: A handler that says that it was called, and never returns.
STUCK: Final = """
import asyncio
from pathlib import Path
from executor_sdk import Executor

executor = Executor("tests", "stuck")


@executor.execute("swarm", timeout_s=600)
async def f(x: dict) -> dict:
    Path("called").touch()
    await asyncio.Event().wait()
    return {}
"""

Event = dict[str, Any]


class Session:
    """`executor dev` on a free port in a folder of its own."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self._folder = folder
        assert process.stdout is not None
        self.first_line = process.stdout.readline()
        #: Where it is served: both forms of the line tell it.
        self.url = re.findall(r"http://127\.0\.0\.1:\d+", self.first_line)[0]

    def save(self, text: str) -> None:
        """Save the application's source."""
        (self._folder / "app.py").write_text(text)

    def until(self, is_it: Callable[[Event], object]) -> Event:
        """The next event that is it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: Event = json.loads(line)
            if is_it(event):
                return event
        raise AssertionError("it ended first")

    def told(self, kind: str) -> Event:
        """The next event of a kind."""
        return self.until(lambda event: event["event"] == kind)

    def get(self, path: str) -> httpx2.Response:
        """Ask it on a connection of its own."""
        return httpx2.get(self.url + path, trust_env=False, timeout=30)

    def post(self, body: dict[str, Any]) -> httpx2.Response:
        """Have a task done."""
        return httpx2.post(f"{self.url}/execute", json=body, trust_env=False, timeout=50)

    def interrupted(self) -> int:
        """The exit code after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode

    def is_served(self) -> bool:
        """Whether any process still holds the address."""
        port = int(self.url.rpartition(":")[2])
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def developing(
    folder: Path, source: str, *options: str, command: tuple[str, ...] = ("-m", "executor_sdk.cli")
) -> Iterator[Session]:
    """The command with JSON lines, unless `options` begin with `--text`; ended at last."""
    (folder / "app.py").write_text(source)
    (folder / "temporary").mkdir()
    options = options[1:] if options[:1] == ("--text",) else ("--json", *options)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, *command, "dev", "app", "--listen", "127.0.0.1:0", *options],
            cwd=folder,
            env={**environment(), "TMPDIR": str(folder / "temporary")},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        guard = threading.Timer(90, process.kill)
        guard.start()
        try:
            yield Session(process, folder)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)
            guard.cancel()


def environment() -> dict[str, str]:
    """This one, with the project to be found from any folder."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}


def test_it_serves_tries_a_run_shows_the_traffic_and_leaves_nothing(tmp_path: Path) -> None:
    """From start to Ctrl-C: the address, a run of three agents, a line for each request; no process, no folder."""
    with developing(tmp_path, APP.format(name="one")) as session:
        began = session.until(lambda event: "agents do" in event.get("sentence", ""))
        asked = session.until(lambda event: event.get("path") == "/execute")
        ended = session.until(lambda event: "FINALIZED" in event.get("sentence", ""))
        assert list((tmp_path / "temporary").glob("executor-dev-*"))
        code = session.interrupted()

        assert began["sentence"] == "3 agents do swarm with {}"
        assert (asked["task_type"], asked["how"], asked["status"], asked["said"]) == ("swarm", "new", 200, "")
        assert asked["execution_id"].startswith("exec-p-")
        assert ended == {
            "event": "run", "weight": "good", "mend": "",
            "sentence": "FINALIZED after 1 round: decision GROWTH, answer 42",
        }  # fmt: skip
        assert code == 0
        assert not session.is_served()
    assert list((tmp_path / "temporary").glob("executor-dev-*")) == []
    assert not (tmp_path / "__pycache__").exists()


def test_traffic_tells_refusals_and_copies(tmp_path: Path) -> None:
    """A 4xx with its sentence; the same bytes again are a replay."""
    with developing(tmp_path, APP.format(name="one"), "--no-run") as session:
        session.post(ask("swarm", {"refuse": True}))
        refused = session.told("request")
        session.post(ask("swarm", {"refuse": True}))
        replayed = session.told("request")

    assert (refused["status"], refused["how"], refused["said"]) == (422, "new", "NO_ROWS: the file has no rows")
    assert (replayed["status"], replayed["how"]) == (422, "replayed")


@pytest.mark.parametrize(
    ("broken", "message", "line"),
    [
        ("x = 1\ndef (\n", "SyntaxError: invalid syntax", 2),
        ("import json\n\n\njson.loads('secret {')\n", "JSONDecodeError: Expecting value", 4),
        ("from executor_sdk import Executor\nexecutor = Executor('a', '')\n", "DefinitionError: ", 2),
        ("import sys\nsys.exit('no key')\n", "SystemExit: no key", 2),
    ],
    ids=["syntax", "exception", "definition", "exit"],
)
def test_a_broken_source_is_told_and_the_next_good_save_is_taken(
    tmp_path: Path, broken: str, message: str, line: int
) -> None:
    """File, line and excerpt on the terminal; 503 with a sentence that quotes nothing to callers."""
    with developing(tmp_path, APP.format(name="one"), "--no-run") as session:
        session.told("ready")
        session.save(broken)
        told = session.told("broken")
        health, execute = session.get("/health"), session.post(ask("swarm", {}))
        session.save(APP.format(name="two"))
        session.told("ready")
        mended = session.get("/capabilities").json()["model_id"]

    assert told["message"].startswith(message)
    assert (told["file"], told["line"]) == ("app.py", line)
    assert [part for part in told["excerpt"] if part.startswith(">")] == [f"> {line} | {broken.splitlines()[line - 1]}"]
    assert (health.status_code, execute.status_code) == (503, 503)
    kind = message.partition(":")[0]
    sentence = (
        f"the application cannot be served: {kind} in app.py, line {line}; the terminal of `executor dev` has more"
    )
    assert health.json() == {"status": "unhealthy", "message": sentence}
    assert execute.json()["error"]["code"] == "NOT_LOADED"
    assert mended == "two"


def test_a_source_that_is_broken_from_the_start_is_waited_for(tmp_path: Path) -> None:
    """The command does not end; a name that does not exist is told by the loader's own sentence."""
    with developing(tmp_path, "other = 1\n", "--no-run") as session:
        told = session.told("broken")
        session.save(APP.format(name="one"))
        session.told("ready")

    assert told["message"] == "cannot load 'app': module 'app' has no attribute 'executor'"


def test_state_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """A lifespan that fails is no reason to end, either."""
    failing = (
        "from executor_sdk import Executor\n"
        "async def pools():\n    raise OSError('no database')\n    yield\n"
        "executor = Executor('tests', 'one', lifespan=pools)\n"
    )
    with developing(tmp_path, failing, "--no-run") as session:
        session.told("broken")
        health = session.get("/health")
        session.save(APP.format(name="one"))
        session.told("ready")

    assert health.status_code == 503


def test_a_reload_ends_although_a_call_is_open(tmp_path: Path) -> None:
    """The caller is told to ask again; the new source serves."""
    with developing(tmp_path, STUCK, "--no-run") as session, ThreadPoolExecutor() as threads:
        call = threads.submit(session.post, ask("swarm", {}))
        _until((tmp_path / "called").exists)
        session.save(APP.format(name="two"))
        session.told("reloading")
        session.told("ready")
        answer = call.result(timeout=30)
        again = session.post(ask("swarm", {}))

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "DRAINING")
    assert again.json()["candidate_output"]["decision"] == "GROWTH"


def test_a_save_in_the_middle_of_a_run_begins_a_new_one(tmp_path: Path) -> None:
    """The run of the old source is cut; the new one is not held up by it."""
    with developing(tmp_path, STUCK) as session:
        _until((tmp_path / "called").exists)
        session.save(APP.format(name="two"))
        session.told("reloading")
        ended = session.until(lambda event: "after 1 round" in event.get("sentence", ""))

    assert ended["sentence"] == "FINALIZED after 1 round: decision GROWTH, answer 42"


def test_a_process_that_ends_by_itself_is_told_and_started_with_the_next_save(tmp_path: Path) -> None:
    """As by a crash in C: 503 meanwhile, and nothing is imported that would crash again."""
    source = APP.format(name="one").replace("    return", "    import os; os._exit(3)\n    return")
    with developing(tmp_path, source, "--no-run") as session:
        session.told("ready")
        with pytest.raises(httpx2.TransportError):
            session.post(ask("swarm", {}))
        told = session.told("broken")
        health = session.get("/health")
        session.save(APP.format(name="two"))
        session.told("ready")

    assert told["message"] == "the process that served ended with exit code 3"
    assert health.status_code == 503


def test_ctrl_c_ends_all_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """A handler that never returns, and a kernel that waits for it."""
    with developing(tmp_path, STUCK) as session:
        _until((tmp_path / "called").exists)
        code = session.interrupted()

        assert code == 0
        assert not session.is_served()
    assert list((tmp_path / "temporary").glob("executor-dev-*")) == []


def test_a_killed_command_takes_its_process_with_it(tmp_path: Path) -> None:
    """The process that serves notices that nobody watches it any more."""
    with developing(tmp_path, APP.format(name="one"), "--no-run") as session:
        session.told("ready")
        session.process.kill()
        session.process.communicate(timeout=30)

        _until(lambda: not session.is_served())


def test_without_a_kernel_it_says_what_to_install_and_serves(tmp_path: Path) -> None:
    """Reload and traffic need none."""
    with developing(tmp_path, APP.format(name="one"), command=("-c", WITHOUT_KERNEL)) as session:
        told = session.told("run")
        session.told("ready")
        served = session.get("/health").status_code

    assert told["sentence"].startswith("there is no run: ")
    assert "pip install 'executor-sdk[kernel]'" in told["sentence"]
    assert served == 200


def test_the_run_takes_the_given_inputs_and_agents(tmp_path: Path) -> None:
    """A refusal, explained."""
    with developing(tmp_path, APP.format(name="one"), "--input", '{"refuse": true}', "--agents", "1") as session:
        began = session.told("run")
        failed = session.told("run")

    assert began["sentence"] == 'one agent does swarm with {"refuse":true}'
    assert "422 is final: the step failed at its first attempt" in failed["sentence"]
    assert failed["mend"]


def test_people_get_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    """What the application prints goes to standard error."""
    source = APP.format(name="one").replace("    if x", "    print('hello')\n    if x")
    with developing(tmp_path, source, "--text") as session:
        lines: list[str] = []
        assert session.process.stdout is not None
        for line in session.process.stdout:
            lines.append(line.rstrip())
            if "FINALIZED" in line:
                break

    assert session.first_line.startswith("app is served at http://127.0.0.1:")
    assert "run: 3 agents do swarm with {}" in lines
    assert lines[-1] == "run: FINALIZED after 1 round: decision GROWTH, answer 42"
    assert any(line.startswith("POST /execute swarm exec-p-") and " new 200 " in line for line in lines)
    assert "\x1b" not in "".join(lines)
    assert "hello" not in lines
    assert "hello" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("form", ["--text", "--no-run"])
def test_a_reader_who_leaves_ends_it_in_order(tmp_path: Path, form: str) -> None:
    """As `executor dev app | head -1`: exit code 0, nothing left."""
    with developing(tmp_path, APP.format(name="one"), form) as session:
        assert session.process.stdout is not None
        session.process.stdout.close()
        code = session.process.wait(timeout=60)

        assert code == 0
        assert not session.is_served()
    assert list((tmp_path / "temporary").glob("executor-dev-*")) == []


def test_a_number_of_agents_that_makes_no_sense_is_usage(tmp_path: Path) -> None:
    """Exit code 2, before anything is started."""
    ended = subprocess.run(
        [sys.executable, "-m", "executor_sdk.cli", "dev", "app", "--agents", "0"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "0 is not from 1 to 20" in ended.stderr


def _until(is_so: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)  # between two looks; the condition is what is waited for
