"""The recorded exchanges with the kernel's HTTP API, request by request, and the table of what ours answers otherwise.

`tests/data/kernel-http.jsonl` was recorded from the WattSwarm kernel, wattetheria/wattswarm at fafc797.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx2
import pytest

from executor_sdk.client.pool import pooled_http
from kernel_stub.api.app import build
from kernel_stub.fleet.entries import valid_entry
from kernel_stub.kernel import open_kernel
from kernel_stub.rules.records import ExecutorEntry
from kernel_stub.settings import KernelSettings
from kernel_stub.testing.app_transport import AppTransport

pytestmark = pytest.mark.anyio

Exchange: TypeAlias = dict[str, Any]

RECORDED: Final = Path(__file__).parents[2] / "data" / "kernel-http.jsonl"

_SHAPE: Final = "Failed to deserialize the JSON body into the target type: "
_SYNTAX: Final = "Failed to parse the request body as JSON: "

#: **ours**: the recorded request (its path and the beginning of its body) → our status, our sentence, and why.
#: A status of the kernel's 400 is also answered otherwise where `STATUSES` says so.
OURS: Final = {
    ("/api/executors/add", '{"name": "", '): (422, "name is required", "a blank name names nothing"),
    ("/api/executors/add", '{"name": "x", "base_url": "ftp'): (
        422,
        "base_url must be an http or https URL",
        "nothing else can be called",
    ),
    ("/api/nothing", ""): (404, "no such path: /api/nothing", "the envelope, always"),
    ("/api/executors/list", "{}"): (405, "/api/executors/list does not take PUT", "the envelope, always"),
    ("/api/run/submit", '{"run_id": "analysis-run-001"'): (
        409,
        "run already exists: analysis-run-001; choose another run_id",
        "a sentence for the person who submitted it twice",
    ),
    ("/api/run/submit", '{"run_id": "b6"'): (
        422,
        (
            "unknown variant `COIN`, expected one of "
            "`REEXPLORE`, `CONFIDENCE_WEIGHTED`, `REPUTATION_WEIGHTED`, `STOCHASTIC`"
        ),
        "the kernel tries another shape and names that",
    ),
    ("/api/run/submit", '{"run_id": "b7"'): (422, "aggregation.quorum must be at least 0, not -1", "the same"),
    ("/api/run/submit", '{"run_id": "b8"'): (422, 'agents must be an array, not "x"', "the same"),
    ("/api/run/submit", "[1]"): (422, "a run specification is an object", "the kernel names its own Rust type"),
    ("/api/run/submit", '"s"'): (422, "a run specification is an object", "the same"),
}

#: **ours**: the kernel answers 400 to everything; the fitting status by the beginning of its sentence.
STATUSES: Final = {
    "executor not found": 404,
    "run not found": 404,
    "error sending request": 503,
    "spec or run_spec is required": 422,
    "run_id is required": 422,
    "agents cannot be empty": 422,
    "executor is required": 422,
    "prompt is required": 422,
    "duplicate agent_id": 422,
    "retry.max_attempts must be > 0": 422,
}

#: Values that differ from one recording to the next.
TIMES: Final = frozenset({"created_at", "updated_at", "started_at", "finished_at"})


async def test_every_recorded_request_is_answered_as_the_kernel_does_or_as_the_table_says(tmp_path: Path) -> None:
    """One kernel gets all of them in order, because each answer depends on what came before."""
    exchanges = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    used = set()

    async with _recorded_kernel(tmp_path) as api:
        for exchange in exchanges:
            answer = await _send(api, exchange)
            deviation = _deviation(exchange)
            used.add(deviation)

            assert _expected(exchange, deviation) == (answer.status_code, _comparable(answer.json())), exchange
            assert answer.headers["content-type"] == "application/json"

    assert set(OURS) <= used, "the table names a request that was never recorded"


@asynccontextmanager
async def _recorded_kernel(state_dir: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """The kernel with the two executors that stood beside the recorded one; nothing else can be reached."""
    apps = {"127.0.0.1:8786": _healthy, "127.0.0.1:8791": _healthy}
    async with pooled_http(AppTransport(apps)) as http, open_kernel(KernelSettings(state_dir), http=http) as kernel:
        await kernel.registry.add(valid_entry(ExecutorEntry("rt", "http://127.0.0.1:8786")))
        await kernel.registry.add(valid_entry(ExecutorEntry("scripted", "http://127.0.0.1:8791")))
        transport = httpx2.ASGITransport(app=build(kernel))
        async with httpx2.AsyncClient(transport=transport, base_url="http://kernel.test") as api:
            yield api


async def _send(api: httpx2.AsyncClient, exchange: Exchange) -> httpx2.Response:
    headers = {} if exchange["content_type"] is None else {"content-type": exchange["content_type"]}
    return await api.request(exchange["method"], exchange["path"], content=exchange["body"].encode(), headers=headers)


def _deviation(exchange: Exchange) -> tuple[str, str] | None:
    """The row of the table for this exchange; the first submit of a run is no deviation, the second is."""
    if exchange["status"] == 200 and exchange["path"] == "/api/run/submit":
        return None
    path, body = exchange["path"], exchange["body"]
    return next((row for row in OURS if row[0] == path and body.startswith(row[1]) and (row[1] or not body)), None)


def _expected(exchange: Exchange, deviation: tuple[str, str] | None) -> tuple[int, Any]:
    if exchange["path"] == "/api/executors/list" and exchange["method"] == "GET":
        return 200, {"ok": True, "executors": [_with_nulls(entry) for entry in _accepted(exchange["answer"])]}
    if deviation is not None:
        status, sentence, _ = OURS[deviation]
        return status, {"ok": False, "error": sentence}
    if isinstance(exchange["answer"], str):
        return exchange["status"], {"ok": False, "error": exchange["answer"]}
    if exchange["status"] == 200:
        return 200, _comparable(exchange["answer"])
    sentence = exchange["answer"]["error"]
    return next(status for beginning, status in STATUSES.items() if sentence.startswith(beginning)), exchange["answer"]


def _accepted(answer: Any) -> list[Any]:
    """What the recorded list holds, but for the entries that ours refused."""
    return [entry for entry in answer["executors"] if entry["name"] not in {"", "x"}]


def _with_nulls(entry: Any) -> dict[str, Any]:
    """**ours**: absent values are null, as the documents show; today's kernel leaves them out."""
    names = (
        "name",
        "base_url",
        "agent_event_callback_base_url",
        "kind",
        "target_node_id",
        "scope_hint",
        "commit_plane_endpoint",
        "commit_plane_token_file",
    )
    return {name: entry.get(name) for name in names}


def _comparable(value: Any) -> Any:
    """`value` without the moments, and an error envelope without our additions `code` and `details`."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    additions = {"code", "details"} if value.get("ok") is False else set()
    kept = {key: item for key, item in value.items() if key not in additions}
    return {key: item is not None if key in TIMES else _comparable(item) for key, item in kept.items()}


async def _healthy(scope: Any, receive: Any, send: Any) -> None:
    """An executor that is well."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"status":"ok"}'})
