"""`/api/task`: the sample of a task contract."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from executor_sdk.protocol.requests import EXPIRY_AFTER_MS, sample_contract
from kernel_stub.api.envelope import success
from kernel_stub.errors import UnreadableRequestError
from kernel_stub.kernel import Kernel


def routes(kernel: Kernel) -> list[Route]:
    """The routes of this area."""

    async def sample(request: Request) -> Response:
        task_id = request.query_params.get("task_id", "")
        if not task_id.strip():
            raise UnreadableRequestError("Failed to deserialize query string: missing field `task_id`")
        return success(
            contract=sample_contract(
                task_id=task_id,
                task_type="swarm",
                inputs={"prompt": "hello"},
                expiry_ms=kernel.clock() + EXPIRY_AFTER_MS,
            )
        )

    return [Route("/api/task/sample", sample, methods=["GET"])]
