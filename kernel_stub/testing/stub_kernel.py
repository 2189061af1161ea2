"""The stub kernel: API, worker and store over ASGI executors, for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2

from executor_sdk.client.pool import pooled_http
from executor_sdk.protocol.plain import Json
from kernel_stub.api.app import build
from kernel_stub.fleet.entries import valid_entry
from kernel_stub.kernel import Kernel, open_kernel
from kernel_stub.rules.records import TERMINAL_RUN, ExecutorEntry, RunStatus
from kernel_stub.settings import KernelSettings
from kernel_stub.testing.app_transport import AppTransport

#: Where the API of a stub kernel stands, for its own client.
API_URL: Final = "http://kernel.test"

_LOOK_EVERY_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class StubKernel:
    """An open kernel, and an HTTP client that speaks to its API."""

    kernel: Kernel
    api: httpx2.AsyncClient

    async def run(self, spec: Mapping[str, Json], *, within_s: float = 10.0) -> dict[str, Json]:
        """Submit a run, wait for its end, and return its documented result.

        Raises:
            TimeoutError: it has not ended in time.
        """
        submitted = await self.kernel.runs.submit(dict(spec), kickoff=True)
        with anyio.fail_after(within_s):
            while True:
                result = await self.kernel.runs.result(submitted["run_id"])
                if RunStatus(result["status"]) in TERMINAL_RUN:
                    return result
                await anyio.sleep(_LOOK_EVERY_S)


@asynccontextmanager
async def stub_kernel(
    executors: Mapping[str, Any], *, state_dir: Path, worker: bool = True, **options: Any
) -> AsyncIterator[StubKernel]:
    """A kernel that knows each ASGI application of `executors` under its name; `options` are KernelSettings.

    Nothing leaves the process: an executor registered at any other address cannot be reached.
    """
    settings = KernelSettings(state_dir=state_dir, **options)
    addresses = {name: f"executor-{n}.test" for n, name in enumerate(executors)}
    transport = AppTransport({addresses[name]: app for name, app in executors.items()})
    async with pooled_http(transport) as http, open_kernel(settings, http=http) as kernel:
        for name, address in addresses.items():
            await kernel.registry.add(valid_entry(ExecutorEntry(name, f"http://{address}")))
        async with _client(kernel) as api, _working(kernel, worker=worker):
            yield StubKernel(kernel, api)


def _client(kernel: Kernel) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=build(kernel), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=API_URL)


@asynccontextmanager
async def _working(kernel: Kernel, *, worker: bool) -> AsyncIterator[None]:
    """A worker beside the test; what the test raises comes out as it is, not inside a group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        if worker:
            group.start_soon(kernel.worker().run)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
