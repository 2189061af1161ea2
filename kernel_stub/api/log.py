"""`/api/log`: the head of the signed event log, and whether it holds."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel_stub.api.envelope import success
from kernel_stub.kernel import Kernel
from kernel_stub.log.head import head_document


def routes(kernel: Kernel) -> list[Route]:
    """The routes of this area."""

    async def head(_: Request) -> Response:
        signed = await kernel.audit.head()
        return success(head=signed.events, signed_head=head_document(signed))

    async def replay(_: Request) -> Response:
        await kernel.audit.replay()
        return success(message="replayed")

    async def verify(_: Request) -> Response:
        await kernel.audit.verify()
        return success(message="verified")

    return [
        Route("/api/log/head", head, methods=["GET"]),
        Route("/api/log/replay", replay, methods=["POST"]),
        Route("/api/log/verify", verify, methods=["POST"]),
    ]
