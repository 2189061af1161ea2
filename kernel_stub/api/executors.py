"""`/api/executors`: add, list and check executors."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel_stub.api.bodies import read_body
from kernel_stub.api.envelope import success
from kernel_stub.fleet.entries import shown, valid_entry
from kernel_stub.kernel import Kernel
from kernel_stub.rules.records import ExecutorEntry


class Naming(msgspec.Struct, frozen=True):
    """The body of `POST /api/executors/check`."""

    name: str


def routes(kernel: Kernel) -> list[Route]:
    """The routes of this area."""

    async def add(request: Request) -> Response:
        body = await read_body(request, max_bytes=kernel.settings.max_body_bytes)
        await kernel.registry.add(valid_entry(body.view(ExecutorEntry)))
        return success()

    async def list_all(_: Request) -> Response:
        return success(executors=[shown(entry) for entry in await kernel.registry.entries()])

    async def check(request: Request) -> Response:
        body = await read_body(request, max_bytes=kernel.settings.max_body_bytes)
        await kernel.registry.check(body.view(Naming).name)
        return success()

    return [
        Route("/api/executors/add", add, methods=["POST"]),
        Route("/api/executors/list", list_all, methods=["GET"]),
        Route("/api/executors/check", check, methods=["POST"]),
    ]
