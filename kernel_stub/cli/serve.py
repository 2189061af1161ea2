"""`kernel-stub serve`, also as `ui`: API, worker and store in one process, which end together."""

from __future__ import annotations

import argparse
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from executor_sdk.serving.addresses import LOOPBACK, is_private, listen, listen_address, url_of
from kernel_stub.cli.arguments import Subcommands, command, opened, positive, seconds
from kernel_stub.cli.printing import note, say
from kernel_stub.cli.worker import add_worker_options, on_stop_signal
from kernel_stub.kernel import Kernel

if TYPE_CHECKING:
    from executor_sdk.serving.server import Server

_DEFAULT: Final = (LOOPBACK, 7788)

#: Seconds that open requests have to end in once a stop was asked for.
_DRAIN_REQUESTS_S: Final = 5


def add_commands(subcommands: Subcommands) -> None:
    """Add `serve`, and `ui` as the documents write it."""
    for name in ("serve", "ui"):
        parser = command(subcommands, name, _run, "API, worker and store in one process")
        parser.add_argument(
            "--listen", type=listen_address, default=_DEFAULT, metavar="HOST:PORT", help="(127.0.0.1:7788)"
        )
        add = partial(parser.add_argument, default=argparse.SUPPRESS)
        add("--max-connections", type=positive, metavar="N", help="at once (1000)")
        add("--head-timeout", dest="head_timeout_s", type=seconds, metavar="S", help="for a request head (10)")
        parser.add_argument("--no-worker", action="store_true", help="leave the steps to `run worker` processes")
        add_worker_options(parser)


async def _run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes, then drain."""
    # Bound before the kernel is opened: a port that is taken is told at once.
    with listen(*arguments.listen) as listening:
        async with opened(arguments) as kernel:
            await _serve(kernel, listening, arguments)
    return 0


async def _serve(kernel: Kernel, listening: socket.socket, arguments: argparse.Namespace) -> None:
    server = _server(kernel, listening)
    worker = kernel.worker(worker_id=arguments.worker_id)
    async with anyio.create_task_group() as signals:
        await signals.start(on_stop_signal, server.stop, worker.stop)
        async with anyio.create_task_group() as group:
            if not arguments.no_worker:
                group.start_soon(worker.run)
            _announce(listening)
            await server.serve(sockets=[listening])
            worker.stop()
        signals.cancel_scope.cancel()


def _server(kernel: Kernel, listening: socket.socket) -> Server:
    # Every other command is quicker for not loading a web server.
    from executor_sdk.serving.door import Bounds, Door
    from executor_sdk.serving.server import Server, configuration
    from kernel_stub.api.app import build
    from kernel_stub.api.callers import LOOPBACK_HOSTS
    from kernel_stub.api.envelope import refusal_body

    settings = kernel.settings
    bounds = Bounds(settings.max_connections, settings.max_head_bytes, settings.head_timeout_s)
    return Server(
        configuration(
            build(kernel, hosts=LOOPBACK_HOSTS if is_private(listening) else None),
            Door(bounds, refusal_body),
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_REQUESTS_S,
        )
    )


def _announce(listening: socket.socket) -> None:
    say(f"kernel-stub listens on {url_of(listening)}")
    if not is_private(listening):
        note("Warning: this API asks nobody who they are; anyone who reaches this address may use it")
