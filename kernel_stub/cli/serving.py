"""One process that serves: the API on a socket, a worker beside it, and both ending together."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import uvicorn

from kernel_stub.api.app import build
from kernel_stub.api.callers import LOOPBACK_HOSTS
from kernel_stub.cli.opening import opened
from kernel_stub.cli.printing import note, say
from kernel_stub.cli.stopping import on_stop_signal
from kernel_stub.kernel import Kernel

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})

#: Seconds that open requests have to end in once a stop was asked for.
_DRAIN_REQUESTS_S: Final = 5


async def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes, then drain."""
    with _listener(*arguments.listen) as listener:
        async with opened(arguments) as kernel:
            await _serve(kernel, listener, arguments)
    return 0


class _Server(uvicorn.Server):
    """A server that leaves signals to us, so that it and the worker stop together and the exit code is 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


async def _serve(kernel: Kernel, listener: socket.socket, arguments: argparse.Namespace) -> None:
    server = _Server(_config(kernel, listener))
    worker = kernel.worker(worker_id=arguments.worker_id)
    async with anyio.create_task_group() as signals:
        await signals.start(on_stop_signal, server.stop, worker.stop)
        async with anyio.create_task_group() as group:
            if not arguments.no_worker:
                group.start_soon(worker.run)
            _announce(listener)
            await server.serve(sockets=[listener])
            worker.stop()
        signals.cancel_scope.cancel()


def _config(kernel: Kernel, listener: socket.socket) -> uvicorn.Config:
    return uvicorn.Config(
        build(kernel, hosts=LOOPBACK_HOSTS if _is_private(listener) else None),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_REQUESTS_S,
    )


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Bound and listening before anybody is told of the address: who reads it may connect at once.
    with socket.create_server((host, port), family=family) as listener:
        yield listener


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    say(f"kernel-stub listens on http://{f'[{host}]' if ':' in host else host}:{port}")
    if not _is_private(listener):
        note("Warning: this API asks nobody who they are; anyone who reaches this address may use it")


def _is_private(listener: socket.socket) -> bool:
    return listener.getsockname()[0] in _LOOPBACK
