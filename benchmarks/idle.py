"""The smallest applications, for figures of idle memory: a bare Starlette route, an executor, and one that is slow.

Each is made when it is asked for, so that a process holds only what its own application needs.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    made = {"bare": _bare, "executor": _executor, "slow": _slow}
    if name not in made:
        raise AttributeError(name)
    return made[name]()


def _bare() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def health(request: Any) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/health", health)])


def _executor() -> Any:
    from executor_sdk import Executor

    executor = Executor("benchmark", "idle-1")

    @executor.execute
    def answer(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": "x"}

    return executor


def _slow() -> Any:
    import anyio

    from executor_sdk import Executor

    executor = Executor("benchmark", "slow-1", timeout_s=600, drain_s=1)

    @executor.execute
    async def wait(inputs: dict[str, Any]) -> dict[str, Any]:
        await anyio.sleep(300)
        return {"answer": "x"}

    return executor
