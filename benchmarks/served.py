"""The applications that the benchmarks put under load: a bare Starlette route, and a typed executor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from executor_sdk import Candidate, Executor, Task, Verdict

#: What the executor answers to `/execute`, said by the bare route as a constant.
ANSWER: Final[dict[str, Any]] = {
    "candidate_output": {"decision": "GROWTH", "answer": "north", "confidence": 0.9, "check_summary": "5 rows"},
    "evidence_inline": [{"mime": "text/plain", "content": "5 rows, total 12.5"}],
    "evidence_refs": [],
}


async def constant(request: Request) -> JSONResponse:
    """The yardstick: it reads nothing and answers a constant."""
    return JSONResponse(ANSWER)


bare = Starlette(routes=[Route("/execute", constant, methods=["POST"]), Route("/verify", constant, methods=["POST"])])

executor = Executor(provider_family="benchmark", model_id="typed-1")
strict = Executor(provider_family="benchmark", model_id="strict-1")
plain = Executor(provider_family="benchmark", model_id="plain-1")


class Ask(BaseModel):
    """What the benchmark asks."""

    prompt: str
    data_url: str


class Finding(BaseModel):
    """What it gets."""

    decision: str
    answer: str
    confidence: float = Field(ge=0, le=1)
    check_summary: str


@plain.execute("swarm")
@strict.execute("swarm")
@executor.execute("swarm")
async def find(ask: Ask, task: Task) -> Finding:
    """Answer at once, with one inline evidence."""
    task.evidence("5 rows, total 12.5")
    return Finding(decision="GROWTH", answer="north", confidence=0.9, check_summary="5 rows")


@strict.verify
async def agree(candidate: Candidate[Finding]) -> Verdict:
    """Pass what the policy passed."""
    return Verdict.passed()


@contextmanager
def served(
    app: str, *, cpu: int = 0, module: str = "benchmarks.served", by: str = "uvicorn"
) -> Iterator[tuple[int, int]]:
    """Serve `MODULE:APP` in a process pinned to one CPU; yields its port and its process id. `by` is "uvicorn", which
    serves anything, or "executor": our own command for executors."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    commands = {
        "uvicorn": ["uvicorn", f"{module}:{app}", f"--port={port}", "--log-level=warning", "--no-access-log"],
        "executor": ["executor_sdk.cli", "serve", f"{module}:{app}", f"--listen=127.0.0.1:{port}"],
    }
    process = subprocess.Popen([sys.executable, "-m", *commands[by]], stdout=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {cpu})
        _wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"the server on port {port} did not come up")
