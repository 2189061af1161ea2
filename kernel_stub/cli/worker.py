"""A worker on the command line: its options, `kernel-stub run worker`, and the signal that stops it."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from functools import partial

import anyio
from anyio.abc import TaskStatus

from kernel_stub.cli.arguments import natural, opened, positive, seconds


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """The options of a worker, wherever it runs."""
    parser.add_argument("--worker-id", metavar="ID", help="the name in leases; made up where not given")
    add = partial(parser.add_argument, default=argparse.SUPPRESS)
    add("--concurrency", type=positive, metavar="N", help="steps in flight (8)")
    add("--poll-ms", type=positive, metavar="MS", help="wait of an idle worker (250)")
    add("--lease-ms", type=positive, metavar="MS", help="wait after a failed store (30000)")
    add("--call-timeout", dest="call_timeout_s", type=seconds, metavar="S", help="limit of one call (30)")
    add("--resends", type=natural, metavar="N", help="resends after no answer (4)")


async def work(arguments: argparse.Namespace) -> int:
    """Claim and do steps until a signal comes; with `--once`, until nothing is due."""
    async with opened(arguments) as kernel:
        worker = kernel.worker(worker_id=arguments.worker_id)
        async with anyio.create_task_group() as group:
            await group.start(on_stop_signal, worker.stop)
            await worker.run(once=arguments.once)
            group.cancel_scope.cancel()
    return 0


async def on_stop_signal(*stops: Callable[[], None], task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Call `stops` when SIGTERM or SIGINT comes; a second signal kills, whatever still drains."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            for stop in stops:
                stop()
            break
    # Behind the receiver, which gives the loop's own handlers back.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
