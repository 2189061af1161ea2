"""The ASGI application of a kernel: every area's routes, and one shape for every refusal."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from kernel_stub.api import executors, log, node, runs, tasks
from kernel_stub.api.envelope import crash, http_failure, kernel_failure
from kernel_stub.errors import KernelError
from kernel_stub.kernel import Kernel


def build(kernel: Kernel) -> Starlette:
    """The application that answers for `kernel`, which must stay open as long as it serves."""
    areas = (executors, runs, tasks, log, node)
    app = Starlette(
        routes=[route for area in areas for route in area.routes(kernel)],
        exception_handlers={KernelError: kernel_failure, HTTPException: http_failure, Exception: crash},
    )
    # A redirect would lose the body of a POST in most clients; the path is simply not ours.
    app.router.redirect_slashes = False
    return app
