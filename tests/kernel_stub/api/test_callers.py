"""Whom the API answers: programs, and no web page of another origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest

from kernel_stub.api.app import build
from kernel_stub.api.callers import LOOPBACK_HOSTS
from kernel_stub.testing.stub_kernel import stub_kernel

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:7788"}, 200),
        ({"host": "localhost:7788"}, 200),
        ({"host": "LOCALHOST"}, 200),
        ({"host": "[::1]:7788"}, 200),
        ({"host": "127.0.0.1:7788", "origin": "http://127.0.0.1:7788"}, 200),
        ({"host": "127.0.0.1:7788", "origin": "http://127.0.0.1:8000"}, 403),
        ({"host": "127.0.0.1:7788", "origin": "https://evil.example"}, 403),
        ({"host": "127.0.0.1:7788", "origin": "null"}, 403),
        ({"host": "127.0.0.1:7788", "origin": "http://[broken"}, 403),
        ({"host": "evil.example:7788"}, 403),
        ({"host": "evil.example:7788", "origin": "http://evil.example:7788"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": ""}, 403),
    ],
)
async def test_a_foreign_web_page_is_refused(tmp_path: Path, headers: Mapping[str, str], status: int) -> None:
    """Neither across origins, nor under a name that was made to point here; a kickoff needs no body to be forged."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as stub:
        transport = httpx2.ASGITransport(build(stub.kernel, hosts=LOOPBACK_HOSTS))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:7788") as api:
            answer = await api.get("/api/executors/list", headers=headers)

    assert answer.status_code == status
    assert answer.json()["ok"] is (status == 200)
    assert status == 200 or answer.json()["code"] == "FOREIGN_CALLER"


async def test_an_api_that_others_reach_is_called_by_any_name(tmp_path: Path) -> None:
    """In a container nobody knows its names; pages of other origins are refused all the same."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as stub:
        named = await stub.api.get("/api/log/head", headers={"host": "kernel:7788"})
        page = await stub.api.post(
            "/api/run/cancel/r", headers={"host": "kernel:7788", "origin": "http://evil.example"}
        )

    assert (named.status_code, page.status_code) == (200, 403)
