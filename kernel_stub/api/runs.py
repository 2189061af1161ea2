"""`/api/run`: submit runs and follow them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel_stub.api.bodies import query_int, read_body
from kernel_stub.api.envelope import success
from kernel_stub.kernel import Kernel
from kernel_stub.runs.commands import MAX_EVENTS


def routes(kernel: Kernel) -> list[Route]:
    """The routes of this area. A run id takes the rest of the path, so that it may hold a slash."""

    async def submit(request: Request) -> Response:
        body = await read_body(request, max_bytes=kernel.settings.max_body_bytes)
        return success(**await kernel.runs.submit(body.json))

    async def dead_letters(request: Request) -> Response:
        limit = query_int(request, "limit", 50, at_most=MAX_EVENTS)
        return success(dead_letters=await kernel.runs.dead_letters(limit=limit))

    return [
        Route("/api/run/submit", submit, methods=["POST"]),
        Route("/api/run/dead-letters", dead_letters, methods=["GET"]),
        *_commands(kernel),
        *_questions(kernel),
    ]


def _commands(kernel: Kernel) -> list[Route]:
    def telling(tell: Callable[[str], Awaitable[None]], done: str) -> Callable[[Request], Awaitable[Response]]:
        async def command(request: Request) -> Response:
            await tell(run_id := _run_id(request))
            return success(run_id=run_id, **{done: True})

        return command

    told = {
        "kickoff": telling(kernel.runs.kickoff, "kicked_off"),
        "cancel": telling(kernel.runs.cancel, "cancelled"),
        "retry": telling(kernel.runs.retry, "retried"),
    }
    return [Route(f"/api/run/{name}/{{run_id:path}}", command, methods=["POST"]) for name, command in told.items()]


def _questions(kernel: Kernel) -> list[Route]:
    async def watch(request: Request) -> Response:
        return success(watch=await kernel.runs.watch(_run_id(request)))

    async def result(request: Request) -> Response:
        return success(result=await kernel.runs.result(_run_id(request)))

    async def events(request: Request) -> Response:
        limit = query_int(request, "limit", 50, at_most=MAX_EVENTS)
        return success(events=await kernel.runs.events(_run_id(request), limit=limit))

    async def why(request: Request) -> Response:
        return success(why=await kernel.runs.why(_run_id(request)))

    return [
        Route("/api/run/watch/{run_id:path}", watch, methods=["GET"]),
        Route("/api/run/result/{run_id:path}", result, methods=["GET"]),
        Route("/api/run/events/{run_id:path}", events, methods=["GET"]),
        Route("/api/run/why/{run_id:path}", why, methods=["GET"]),
    ]


def _run_id(request: Request) -> str:
    run_id: str = request.path_params["run_id"]
    return run_id
