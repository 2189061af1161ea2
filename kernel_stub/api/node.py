"""`/api/node`, `/api/log` and `/api/task`: who signs here, whether the log holds, and a sample of a task contract."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from executor_sdk.protocol.requests import EXPIRY_AFTER_MS, sample_contract
from kernel_stub.api.envelope import success
from kernel_stub.errors import UnreadableRequestError
from kernel_stub.kernel import Kernel
from kernel_stub.log.head import head_document


def routes(kernel: Kernel) -> list[Route]:
    """The routes of these areas."""

    async def status(_: Request) -> Response:
        return success(**kernel.node_status(running=True))

    async def head(_: Request) -> Response:
        signed = await kernel.audit.head()
        return success(head=signed.events, signed_head=head_document(signed))

    async def replay(_: Request) -> Response:
        await kernel.audit.replay()
        return success(message="replayed")

    async def verify(_: Request) -> Response:
        await kernel.audit.verify()
        return success(message="verified")

    async def sample(request: Request) -> Response:
        task_id = request.query_params.get("task_id", "")
        if not task_id.strip():
            raise UnreadableRequestError("Failed to deserialize query string: missing field `task_id`")
        expiry_ms = kernel.clock() + EXPIRY_AFTER_MS
        inputs = {"prompt": "hello"}
        return success(contract=sample_contract(task_id=task_id, task_type="swarm", inputs=inputs, expiry_ms=expiry_ms))

    return [
        Route("/api/node/status", status, methods=["GET"]),
        Route("/api/log/head", head, methods=["GET"]),
        Route("/api/log/replay", replay, methods=["POST"]),
        Route("/api/log/verify", verify, methods=["POST"]),
        Route("/api/task/sample", sample, methods=["GET"]),
    ]
