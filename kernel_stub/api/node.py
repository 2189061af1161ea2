"""`/api/node`: who signs here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel_stub.api.envelope import success
from kernel_stub.kernel import Kernel


def routes(kernel: Kernel) -> list[Route]:
    """The routes of this area."""

    async def status(_: Request) -> Response:
        return success(**kernel.node_status(running=True))

    return [Route("/api/node/status", status, methods=["GET"])]
