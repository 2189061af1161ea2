"""The kernel as the demo sees it: over HTTP, as any program would."""

from __future__ import annotations

from typing import Any, Final

import httpx2
from processes import DemoError

#: States in which a run stays.
ENDED: Final = frozenset({"FINALIZED", "FAILED", "CANCELLED"})


class KernelApi:
    """A few of the kernel's endpoints."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def add_executor(self, name: str, base_url: str) -> None:
        """Register an executor under a name."""
        await self._call("POST", "/api/executors/add", json={"name": name, "base_url": base_url})

    async def submit(self, spec: dict[str, Any]) -> None:
        """Create a run."""
        await self._call("POST", "/api/run/submit", json=spec)

    async def kickoff(self, run_id: str) -> None:
        """Queue its steps."""
        await self._call("POST", f"/api/run/kickoff/{run_id}")

    async def status(self, run_id: str) -> str:
        """Where the run stands."""
        return str((await self._call("GET", f"/api/run/watch/{run_id}"))["watch"]["status"])

    async def events(self, run_id: str) -> list[dict[str, Any]]:
        """All its events, oldest first."""
        found: list[dict[str, Any]] = (await self._call("GET", f"/api/run/events/{run_id}?limit=1000"))["events"]
        return found[::-1]

    async def result(self, run_id: str) -> dict[str, Any]:
        """What it came to."""
        result: dict[str, Any] = (await self._call("GET", f"/api/run/result/{run_id}"))["result"]
        return result

    async def why(self, run_id: str) -> list[str]:
        """Its outcome, explained."""
        lines: list[str] = (await self._call("GET", f"/api/run/why/{run_id}"))["why"]
        return lines

    async def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = await self._http.request(method, self._url + path, **options)
        body: dict[str, Any] = answer.json()
        if not body.get("ok"):
            raise DemoError(f"the kernel refused {method} {path}: {body.get('error')}")
        return body
