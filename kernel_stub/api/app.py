"""The ASGI application of a kernel: every area's routes, and one shape for every refusal."""

from __future__ import annotations

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from kernel_stub.api import executors, node, runs
from kernel_stub.api.callers import Callers
from kernel_stub.api.envelope import crash, http_failure, kernel_failure
from kernel_stub.errors import KernelError
from kernel_stub.kernel import Kernel


def build(kernel: Kernel, *, hosts: Collection[str] | None = None) -> Starlette:
    """The application that answers for `kernel`, which must stay open as long as it serves.

    `hosts` are the names that it is called by; by any where none are given.
    """
    areas = (executors, runs, node)
    app = Starlette(
        routes=[route for area in areas for route in area.routes(kernel)],
        middleware=[Middleware(Callers, hosts=hosts)],
        exception_handlers={KernelError: kernel_failure, HTTPException: http_failure, Exception: crash},
    )
    # A redirect would lose the body of a POST in most clients; the path is simply not ours.
    app.router.redirect_slashes = False
    return app
