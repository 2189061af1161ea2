"""A program for tests: kills a worker with SIGKILL at every failpoint in turn, and lets a second one finish the run.

Started with a folder and the address of an executor. Each failpoint gets a state directory of its own, and two forked
children: one that dies there, one that goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from kernel_stub.runs.attempt import no_failpoint
from tests.kernel_stub.workshop import workshop

#: Orders whose first attempt fails: the way to the failure transaction.
FAILS_ONCE: Final = '{"rounds": [{"status": 500}, {"out": {"answer": "yes", "decision": "go"}}]}'

#: Every commit and every send of an attempt, before and after.
POINTS: Final = tuple(
    f"{name}:{side}"
    for name in ("T1", "T2", "execute", "T3", "verify", "T4", "failure")
    for side in ("before", "after")
)


def main(folder: Path, base_url: str) -> int:
    """Kill and go on at every failpoint; the exit code says whether each child ended as it should."""
    for point in POINTS:
        state_dir = folder / point.replace(":", "-")
        killed = _forked(partial(_until_killed, state_dir, base_url, point))
        if not os.WIFSIGNALED(killed):
            return 1
        if _forked(partial(_to_the_end, state_dir, base_url)) != 0:
            return 2
    return 0


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        # An event loop of its own; nothing of the parent's is shared but code.
        asyncio.set_event_loop(None)
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def _until_killed(state_dir: Path, base_url: str, point: str) -> None:
    def failpoint(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    anyio.run(_work, state_dir, base_url, failpoint, point)


def _to_the_end(state_dir: Path, base_url: str) -> None:
    anyio.run(_work, state_dir, base_url, no_failpoint, None)


async def _work(state_dir: Path, base_url: str, failpoint: Callable[[str], None], point: str | None) -> None:
    async with workshop(state_dir, base_url=base_url) as shop:
        if point is not None:
            await shop.commands.submit(_spec(point), kickoff=True)
        [run] = await shop.store.runs.newest(limit=1)
        worker = shop.worker(failpoint=failpoint)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            with anyio.fail_after(20):
                await shop.ended(run.run_id)
            worker.stop()


def _spec(point: str) -> dict[str, object]:
    name = point.replace(":", "-")
    prompt = FAILS_ONCE if name.startswith("failure") else "p"
    return {
        "run_id": name,
        "agents": [{"agent_id": "a", "executor": "scripted", "prompt": prompt}],
        "retry": {"max_attempts": 2, "backoff_ms": 200},
        "aggregation": {"null_policy": {"chain": ["FINALIZE_NULL"]}},
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
