"""Whole steps per second of kernel plus executor: claim, /execute, propose, /verify, settle, every event signed.

    python benchmarks/kernel_steps.py [--steps 600] [--concurrency 16]

One kernel (API, worker, SQLite with synchronous=FULL) in this process on uvloop, as `kernel-stub serve` runs it, one
typed executor in another, over real sockets. The yardstick is the same executor called by the same client with no
kernel between: `of_bare_calls` is the share of that rate that whole steps reach. The last line is JSON: `steps_per_s`,
`failed`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.request_path import executions
from benchmarks.served import served
from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.client.pool import pooled_http
from kernel_stub.fleet.entries import valid_entry
from kernel_stub.kernel import open_kernel
from kernel_stub.rules.records import TERMINAL_RUN, ExecutorEntry, RunStatus
from kernel_stub.settings import KernelSettings

_LOOP: Final = {"use_uvloop": True}


async def steps_per_s(url: str, state_dir: Path, *, steps: int, concurrency: int) -> tuple[float, int]:
    """Run `steps` agents of one run to its end; whole steps per second, and how many did not succeed."""
    settings = KernelSettings(state_dir=state_dir, concurrency=concurrency)
    spec = {
        "run_id": "bench",
        "shared_inputs": {"data_url": "https://data.example.com/q3.json"},
        "agents": [{"agent_id": f"agent-{n:05}", "executor": "typed", "prompt": f"part {n}"} for n in range(steps)],
    }
    async with open_kernel(settings) as kernel, anyio.create_task_group() as group:
        await kernel.registry.add(valid_entry(ExecutorEntry("typed", url)))
        await kernel.runs.submit(spec)
        group.start_soon(kernel.worker().run)
        begun = time.perf_counter()
        await kernel.runs.kickoff("bench")
        while RunStatus((await kernel.runs.watch("bench"))["status"]) not in TERMINAL_RUN:  # noqa: ASYNC110
            await anyio.sleep(0.02)
        taken = time.perf_counter() - begun
        counts = (await kernel.runs.watch("bench"))["counts"]
        group.cancel_scope.cancel()
    return steps / taken, steps - counts["succeeded"]


async def bare_pairs_per_s(url: str, *, pairs: int, concurrency: int) -> float:
    """The yardstick: the same client calls `/execute` twice where a step calls `/execute` and `/verify`."""
    bodies = executions()
    async with pooled_http() as http:
        client = ExecutorClient(url, http=http)

        async def call(count: int) -> None:
            for _ in range(2 * count):
                await client.execute(next(bodies).partition(b"\r\n\r\n")[2])

        begun = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(concurrency):
                group.start_soon(call, pairs // concurrency)
        return pairs / (time.perf_counter() - begun)


def main() -> None:
    """Measure, print both rates and one line of JSON."""
    arguments = argparse.ArgumentParser(description="whole steps/s of kernel plus executor")
    arguments.add_argument("--steps", type=int, default=600)
    arguments.add_argument("--concurrency", type=int, default=16)
    options = arguments.parse_args()
    with served("executor", by="executor") as (port, _), tempfile.TemporaryDirectory() as state:
        url = f"http://127.0.0.1:{port}"
        bare = anyio.run(
            lambda: bare_pairs_per_s(url, pairs=options.steps, concurrency=options.concurrency), backend_options=_LOOP
        )
        rate, failed = anyio.run(
            lambda: steps_per_s(url, Path(state), steps=options.steps, concurrency=options.concurrency),
            backend_options=_LOOP,
        )
    print(f"bare pairs of calls {bare:8.0f} /s")
    print(f"whole steps         {rate:8.0f} /s   {rate / bare:.2f} of bare")
    print(json.dumps({"steps_per_s": round(rate, 1), "failed": failed, "of_bare_calls": round(rate / bare, 3)}))


if __name__ == "__main__":
    main()
