"""Each example starts by the command in its docstring, and is listed in the README beside it."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import httpx2
import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples"
FILES: Final = sorted([*EXAMPLES.glob("*/app.py"), *EXAMPLES.glob("migrating/*.py")])

#: Seconds for a server to start, on a busy machine.
PATIENCE_S: Final = 60

#: Those that promise to be shorter than this many lines.
SHORT: Final = ("shared_pool", "streaming_llm", "stateful_class", "gateway", "two_task_types")
SHORT_LINES: Final = 60


def name_of(path: Path) -> str:
    """The path of an example among the others."""
    return path.relative_to(EXAMPLES).as_posix()


def command_of(path: Path) -> str:
    """What its docstring says to type."""
    said = re.search(r"Run `([^`]+)`", ast.get_docstring(ast.parse(path.read_text())) or "")
    assert said is not None, f"{name_of(path)} does not say how to run it"
    return said[1]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_command_serves_it(path: Path, tmp_path: Path) -> None:
    """As printed, but for a free port; and the server is healthy, and knows a task type."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = command_of(path).replace("checkpoints.sqlite", str(tmp_path / "checkpoints.sqlite"))
    at_port = f"--port {port}" if "uvicorn" in command else f"--listen 127.0.0.1:{port}"
    words = re.sub(r"(executor serve|uvicorn) ", rf"exec \g<0>{at_port} ", command)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COVERAGE"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(["bash", "-c", words], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S) as http:
            give_up_s = time.monotonic() + PATIENCE_S
            while True:
                assert process.poll() is None, (tmp_path / "log").read_text()
                try:
                    assert http.get("/health").status_code == 200
                    break
                except httpx2.ConnectError:
                    assert time.monotonic() < give_up_s, (tmp_path / "log").read_text()
                    time.sleep(0.02)
            assert http.get("/capabilities").json()["task_types"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


@pytest.mark.parametrize("name", SHORT)
def test_a_short_one_stays_short(name: str) -> None:
    """It is read at a glance."""
    assert len((EXAMPLES / name / "app.py").read_text().splitlines()) < SHORT_LINES


def test_the_readme_lists_each() -> None:
    """And nothing that is not there."""
    linked = set(re.findall(r"\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text()))

    assert {name_of(path) for path in FILES} <= linked
    assert [link for link in linked if not (EXAMPLES / link).exists()] == []
