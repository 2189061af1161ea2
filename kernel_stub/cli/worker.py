"""`kernel-stub run worker`: a worker as a process of its own, beside any others."""

from __future__ import annotations

import argparse

import anyio

from kernel_stub.cli.opening import opened
from kernel_stub.cli.stopping import on_stop_signal


async def work(arguments: argparse.Namespace) -> int:
    """Claim and do steps until a signal comes; with `--once`, until nothing is due."""
    async with opened(arguments) as kernel:
        worker = kernel.worker(worker_id=arguments.worker_id)
        async with anyio.create_task_group() as group:
            await group.start(on_stop_signal, worker.stop)
            await worker.run(once=arguments.once)
            group.cancel_scope.cancel()
    return 0
