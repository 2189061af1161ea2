"""What a page prints, run as a reader would: its blocks, a shell in a folder of its own, and ports that are free."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2

ROOT: Final = Path(__file__).resolve().parents[2]

#: Where pages say that servers listen; the tests put free ports in their place.
EXECUTOR_URL: Final = "http://127.0.0.1:8787"
KERNEL_ADDRESS: Final = "127.0.0.1:7788"

#: Seconds that a server may take to answer its first request.
START_S: Final = 60.0


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def bash(script: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as a person would type it, with the programs of this environment, up to the first that fails."""
    # The caller must not wait for what a block leaves in the background.
    stopped = f"trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\nset -e\n{script}"
    return subprocess.run(
        ["bash", "-c", stopped],
        cwd=cwd,
        env=_environment(cwd),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@contextmanager
def in_background(line: str, url: str, *, cwd: Path) -> Iterator[None]:
    """Run a line that serves something at `url`, from when it answers `/health` until the block ends."""
    with subprocess.Popen(["bash", "-c", line], cwd=cwd, env=_environment(cwd)) as serving:
        try:
            _wait_for(f"{url}/health", serving)
            yield
        finally:
            serving.terminate()


def _wait_for(address: str, serving: subprocess.Popen[bytes]) -> None:
    give_up_s = time.monotonic() + START_S
    with httpx2.Client(trust_env=False, timeout=5.0) as http:
        while serving.poll() is None and time.monotonic() < give_up_s:
            try:
                http.get(address)
            except httpx2.TransportError:
                time.sleep(0.05)
            else:
                return
    raise AssertionError(f"{address} did not answer")


def _environment(cwd: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COVERAGE"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{cwd}:{ROOT}",
        "VIRTUAL_ENV": sys.prefix,
    }
