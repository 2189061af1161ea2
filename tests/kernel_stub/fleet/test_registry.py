"""Finding and checking executors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from kernel_stub.errors import ExecutorNotFoundError
from kernel_stub.fleet.entries import valid_entry
from kernel_stub.fleet.registry import ExecutorUnhealthyError
from kernel_stub.rules.records import ExecutorEntry
from kernel_stub.testing.stub_kernel import stub_kernel

pytestmark = pytest.mark.anyio

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Any, Any, Send], Awaitable[None]]


async def test_a_registered_name_is_used_as_it_stands(tmp_path: Path) -> None:
    """Where both old names are registered, neither stands in for the other."""
    async with stub_kernel({"rt": _answering(200), "core-agent": _answering(500)}, state_dir=tmp_path) as kernel:
        await kernel.kernel.registry.check("rt")

        with pytest.raises(ExecutorUnhealthyError, match="runtime /health status: 500 Internal Server Error"):
            await kernel.kernel.registry.check("core-agent")


async def test_a_name_that_nothing_stands_in_for_is_not_found(tmp_path: Path) -> None:
    """Only the two names of one thing stand in for each other."""
    async with stub_kernel({"demo": _answering(200)}, state_dir=tmp_path) as kernel:
        for name in ("rt", "core-agent", "DEMO", "demo "):
            with pytest.raises(ExecutorNotFoundError, match=f"executor not found: {name}"):
                await kernel.kernel.registry.find(name)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (204, True), (302, False), (404, False), (503, False)])
async def test_only_2xx_is_healthy(tmp_path: Path, status: int, healthy: bool) -> None:
    """The status decides; the body is not read, and no redirect is followed."""
    async with stub_kernel({"demo": _answering(status)}, state_dir=tmp_path) as kernel:
        answer = await kernel.api.post("/api/executors/check", json={"name": "demo"})

    assert (200 if healthy else 503) == answer.status_code
    assert healthy == answer.json()["ok"]


async def test_an_executor_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    """The sentence is the kernel's, with the address but not with what is secret in it."""
    async with stub_kernel({}, state_dir=tmp_path) as kernel:
        await kernel.kernel.registry.add(valid_entry(ExecutorEntry("demo", "http://kernel:secret@127.0.0.1:1/x/")))

        with pytest.raises(ExecutorUnhealthyError) as refusal:
            await kernel.kernel.registry.check("demo")

    assert refusal.value.sentence == "error sending request for url (http://***@127.0.0.1:1/x/health)"


def _answering(status: int) -> App:
    """An executor whose every answer has this status."""

    async def app(_: Any, __: Any, send: Send) -> None:
        headers = [(b"location", b"http://10.0.1.5:8080/health")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return app
