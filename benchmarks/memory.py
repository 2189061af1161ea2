"""Memory and start of a served executor: idle beside a bare Starlette application, flat over a long life, with waiters.

    python benchmarks/memory.py [--executions 200000] [--waiters 400] [--only idle,waiters,life]

Resident memory is the operating system's figure for the server process. `idle`: both applications served by uvicorn and
asked once; and the time to import what they are made of, the best of several. `waiters`: so many attempts at one step,
each with a body of 4 MB, wait for its work. `life`: growth over the second half of so many executions. The last line is
JSON: `rss_ratio`, `import_ratio`, `waiters_mb`, `second_half_mb`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load import drive
from benchmarks.request_path import executions
from benchmarks.served import served
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.requests import execute_request, sample_contract

_IMPORTS: Final = {
    "bare": "import uvicorn, starlette.applications, starlette.responses, starlette.routing",
    "executor": "import uvicorn, executor_sdk; executor_sdk.Executor",
}
_TIMED: Final = "import time; begun = time.perf_counter(); {}; print(time.perf_counter() - begun)"

#: Steps that the waiters share.
STEPS: Final = 4

#: Bytes of one waiter's request, and how often an import is timed.
BODY_BYTES: Final = 4_000_000
TIMES: Final = 9


def idle() -> dict[str, float]:
    """Resident memory of both applications, and the time of their imports, as ratios."""
    rss, import_s = dict[str, float](), dict[str, float]()
    for name in _IMPORTS:
        with served(f"{name}", module="benchmarks.idle") as (port, pid):
            asyncio.run(_ask(port, "/health"))
            rss[name] = rss_mb(pid)
    for name, imports in _IMPORTS.items():
        command = [sys.executable, "-c", _TIMED.format(imports)]
        import_s[name] = min(
            float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(TIMES)
        )
    for name in _IMPORTS:
        print(f"{name:9} {rss[name]:7.1f} MB idle   {import_s[name] * 1000:7.1f} ms to import")
    return {
        "rss_ratio": round(rss["executor"] / rss["bare"], 2),
        "import_ratio": round(import_s["executor"] / import_s["bare"], 2),
    }


def waiters(count: int) -> dict[str, float]:
    """What `count` attempts that wait add to the server's resident memory."""
    with served("slow", module="benchmarks.idle") as (port, pid):
        asyncio.run(_ask(port, "/health"))
        before = rss_mb(pid)
        joined, after = asyncio.run(_wait_together(port, pid, count))
    print(f"{joined:9} waiters with {BODY_BYTES / 1e6:.0f} MB each: {before:.1f} MB before, {after:.1f} MB with them")
    return {"waiters": joined, "waiters_mb": round(after - before, 1)}


def life(count: int) -> dict[str, float]:
    """How much resident memory grows over the second half of `count` executions."""
    with served("executor") as (port, pid):
        sizes = []
        for _ in range(2):
            done = 0
            while done < count // 2:
                done += drive(port, executions, seconds=4).answered
            sizes.append(rss_mb(pid))
    print(f"{count:9} executions: {sizes[0]:.1f} MB half-way, {sizes[1]:.1f} MB in the end")
    return {"second_half_mb": round(sizes[1] - sizes[0], 1)}


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def _ask(port: int, path: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def _wait_together(port: int, pid: int, count: int) -> tuple[int, float]:
    text = "x" * (BODY_BYTES // 2)
    sending = asyncio.Semaphore(8)

    async def attempt(number: int) -> None:
        # A work takes only so many asks: several steps share them.
        agent, attempt = f"a{number % STEPS}", number // STEPS + 1
        inputs = {"agent_id": agent, "text": text}
        task_id = f"run-w-{agent}-{attempt}"
        contract = sample_contract(task_id=task_id, task_type="swarm", inputs=inputs, expiry_ms=2**42)
        body = declared_bytes(execute_request(contract, execution_id=f"exec-p-{uuid.uuid4()}"))
        # Where too many bodies are on their way, it is 503: asked again, as a kernel does.
        while b" 503 " in await _answer(port, body, sending):  # noqa: ASYNC110 - nothing here tells of room
            await asyncio.sleep(0.1)

    attempts = [asyncio.create_task(attempt(number)) for number in range(count + STEPS)]
    joined = 0
    async with asyncio.timeout(120):
        while joined < count:
            await asyncio.sleep(0.2)
            joined = (await _ask(port, "/health"))["joined"]
    # What the last ones took while they were read is given back within a moment.
    await asyncio.sleep(2)
    size = rss_mb(pid)
    for task in attempts:
        task.cancel()
    await asyncio.wait(attempts)
    return joined, size


async def _answer(port: int, body: bytes, sending: asyncio.Semaphore) -> bytes:
    """The first line of the answer, which may take long to come; a few send at once."""
    async with sending:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
    try:
        return await reader.readline()
    finally:
        writer.close()


def main() -> None:
    """Measure, print, and one line of JSON."""
    arguments = argparse.ArgumentParser(description="memory and start of a served executor")
    arguments.add_argument("--executions", type=int, default=200_000)
    arguments.add_argument("--waiters", type=int, default=400)
    arguments.add_argument("--only", default="idle,waiters,life")
    given = arguments.parse_args()
    measures: dict[str, Callable[[], dict[str, float]]] = {
        "idle": idle,
        "waiters": lambda: waiters(given.waiters),
        "life": lambda: life(given.executions),
    }
    found: dict[str, float] = {}
    for name in given.only.split(","):
        found.update(measures[name]())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
