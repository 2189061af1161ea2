"""Bad input gets the right status and a sentence in the envelope, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel_stub.testing.stub_kernel import StubKernel, stub_kernel

pytestmark = pytest.mark.anyio

JSON: Final = {"content-type": "application/json"}
AGENT: Final = {"agent_id": "a", "prompt": "p", "executor": "rt"}
POSTS: Final = ("/api/executors/add", "/api/executors/check", "/api/run/submit")

DEEP: Final = b'{"run_id":"deep","agents":' + b"[" * 5_000 + b"]" * 5_000 + b"}"

#: body → status, code, a part of the sentence; for every POST that takes a body.
UNREADABLE: Final = [
    (b"", 400, "MALFORMED_REQUEST", "EOF while parsing a value at line 1 column 1"),
    (b"{not json", 400, "MALFORMED_REQUEST", "key must be a string at line 1 column 2"),
    (b'{"name": "\xff"}', 400, "MALFORMED_REQUEST", "Failed to parse the request body as JSON"),
    (b'{"name": NaN}', 400, "MALFORMED_REQUEST", "Failed to parse the request body as JSON"),
    (b'{"name": "\\ud800"}', 400, "MALFORMED_REQUEST", "Failed to parse the request body as JSON"),
    (b'{"name": "a"} x', 400, "MALFORMED_REQUEST", "Failed to parse the request body as JSON"),
    (b"[" * 20_000, 400, "MALFORMED_REQUEST", "Failed to parse the request body as JSON"),
    (DEEP, 400, "MALFORMED_REQUEST", "Failed to parse the request body as JSON"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, 400, "MALFORMED_REQUEST", "nested deeper than 32 levels"),
    (b"x" * 4_194_305, 413, "BODY_TOO_LARGE", "request body is larger than 4194304 bytes"),
]

#: body of an add → the place that is wrong.
MISSHAPEN: Final[list[tuple[Any, str | None]]] = [
    ({"base_url": "http://127.0.0.1:1"}, "$.name"),
    ([1], None),
    ("s", None),
    (None, None),
    ({"name": 1, "base_url": "http://127.0.0.1:1"}, "$.name"),
    ({"name": None, "base_url": "http://127.0.0.1:1"}, "$.name"),
    ({"name": "x", "base_url": ["http://127.0.0.1:1"]}, "$.base_url"),
    ({"name": "x", "base_url": "http://127.0.0.1:1", "remote": "yes"}, "$.remote"),
    ({"name": "x", "base_url": "http://127.0.0.1:1", "scope_hint": {}}, "$.scope_hint"),
    ({"name": "x", "base_url": "http://127.0.0.1:1", "remote": True}, "$.target_node_id"),
    ({"name": "x", "base_url": "ftp://nowhere"}, "$.base_url"),
    ({"name": "x", "base_url": "http://user:1/secret@host"}, "$.base_url"),
    ({"name": "x", "base_url": "http://user:se\\cret@host"}, "$.base_url"),
    ({"name": "x\u0000", "base_url": "http://127.0.0.1:1"}, "$.name"),
]

#: body of a submit → our sentence, and the place that is wrong.
WRONG_SPECS: Final[list[tuple[Any, str, str]]] = [
    ({}, "spec or run_spec is required", "$.spec"),
    ({"spec": None}, "spec or run_spec is required", "$.spec"),
    ({"spec": {"run_id": "r", "agents": [AGENT]}, "kickoff": 1}, "kickoff must be true or false", "$.kickoff"),
    ({"spec": "r"}, 'a run specification must be an object, not "r"', "$"),
    ({"agents": [AGENT]}, "run_id is required", "$.run_id"),
    ({"run_id": " ", "agents": [AGENT]}, "run_id is required", "$.run_id"),
    ({"run_id": 7, "agents": [AGENT]}, "run_id must be text, not 7", "$.run_id"),
    ({"run_id": "r"}, "agents cannot be empty", "$.agents"),
    ({"run_id": "r", "agents": [AGENT, AGENT]}, "duplicate agent_id: a", "$.agents[1].agent_id"),
    ({"run_id": "r", "agents": [{**AGENT, "agent_id": ""}]}, "agent_id is required", "$.agents[0].agent_id"),
    ({"run_id": "r", "agents": [None]}, "agents[0] must be an object, not null", "$.agents[0]"),
    ({"run_id": "r\n", "agents": [AGENT]}, "run_id must not contain control characters", "$.run_id"),
    ({"run_id": "r" * 201, "agents": [AGENT]}, "run_id is longer than 200 characters", "$.run_id"),
    (
        {"run_id": "r", "agents": [{**AGENT, "agent_id": "a\u0000"}]},
        "agents[0].agent_id must not contain control characters",
        "$.agents[0].agent_id",
    ),
    (
        {"run_id": "r", "agents": [{**AGENT, "agent_id": "a:b"}]},
        "agents[0].agent_id must not contain a colon: step ids are RUN:AGENT",
        "$.agents[0].agent_id",
    ),
]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(("body", "status", "code", "sentence"), UNREADABLE)
async def test_an_unreadable_body_gets_the_envelope(
    tmp_path: Path, path: str, body: bytes, status: int, code: str, sentence: str
) -> None:
    """Broken, deep and huge bodies are refused before anything looks at them, on every path alike."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        answer = await kernel.api.post(path, content=body, headers=JSON)

        assert (status, False, code) == (answer.status_code, answer.json()["ok"], answer.json()["code"])
        assert sentence in answer.json()["error"]
        await _assert_empty(kernel)


async def test_a_huge_body_of_unknown_length_is_refused_while_it_comes(tmp_path: Path) -> None:
    """Without a content-length the bytes are counted, and the rest is never asked for."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * 65_536

    async with stub_kernel({}, state_dir=tmp_path, worker=False, max_body_bytes=100_000) as kernel:
        answer = await kernel.api.post("/api/run/submit", content=endless(), headers=JSON)

    assert answer.status_code == 413


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
async def test_another_media_type_is_refused(tmp_path: Path, content_type: str) -> None:
    """A page in a browser may send plain text anywhere; JSON it may not."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        answer = await kernel.api.post(POSTS[0], content=b"{}", headers={"content-type": content_type})

    assert answer.status_code == 415
    assert answer.json()["error"] == "Expected request with `Content-Type: application/json`"


@pytest.mark.parametrize(("body", "path"), MISSHAPEN)
async def test_a_misshapen_executor_is_refused_with_the_place(tmp_path: Path, body: Any, path: str | None) -> None:
    """422, the path of the field, and nothing registered."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        answer = await kernel.api.post("/api/executors/add", content=json.dumps(body), headers=JSON)

        places = [detail["path"] for detail in answer.json().get("details", [])]
        assert (answer.status_code, places) == (422, [] if path is None else [path])
        await _assert_empty(kernel)


@pytest.mark.parametrize(("body", "sentence", "path"), WRONG_SPECS)
async def test_a_wrong_run_specification_is_refused_with_the_place(
    tmp_path: Path, body: Any, sentence: str, path: str
) -> None:
    """422, the kernel's sentence where it has one, the path of the field, and no run."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        answer = await kernel.api.post("/api/run/submit", json=body)

        assert (422, sentence) == (answer.status_code, answer.json()["error"])
        assert path == answer.json()["details"][0]["path"]
        await _assert_empty(kernel)


async def test_an_id_with_slashes_spaces_and_other_scripts_is_found_under_its_address(tmp_path: Path) -> None:
    """Such ids are allowed, so every address must find them, escaped or not."""
    run_id = "2026/q3 review/größe?#%2F"
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        submitted = await kernel.api.post("/api/run/submit", json={"run_id": run_id, "agents": [AGENT]})
        address = "2026%2Fq3%20review/gr%C3%B6%C3%9Fe%3F%23%252F"
        watched = await kernel.api.get(f"/api/run/watch/{address}")
        kicked_off = await kernel.api.post(f"/api/run/kickoff/{address}")

    assert {"ok": True, "run_id": run_id, "kicked_off": False} == submitted.json()
    assert run_id == watched.json()["watch"]["run_id"]
    assert {"ok": True, "run_id": run_id, "kicked_off": True} == kicked_off.json()


@pytest.mark.parametrize("run_id", ["nope", "a%2Fb", "a/b", "%00", "%0a", "..%2f..%2fetc", "%F0%9F%A6%8A", ""])
async def test_an_unknown_run_is_not_found_under_any_address(tmp_path: Path, run_id: str) -> None:
    """404 in the envelope, whatever the id is made of."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        asked = [await kernel.api.get(f"/api/run/{question}/{run_id}") for question in ("watch", "result", "why")]
        told = [await kernel.api.post(f"/api/run/{order}/{run_id}") for order in ("kickoff", "cancel", "retry")]

    assert [(answer.status_code, answer.json()["code"]) for answer in asked + told] == [(404, "RUN_NOT_FOUND")] * 6


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "", "99999999999999999999", "\u0663"])
async def test_a_limit_that_is_no_number_is_refused(tmp_path: Path, limit: str) -> None:
    """400, as for any query that cannot be read."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        answer = await kernel.api.get("/api/run/events/r", params={"limit": limit})

    assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED_REQUEST")


async def test_a_fault_of_ours_tells_nothing_of_its_inside(tmp_path: Path) -> None:
    """500 in the envelope; the traceback is for the log."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        await kernel.kernel.store.aclose()
        answer = await kernel.api.get("/api/executors/list")

    assert (answer.status_code, answer.json()["ok"]) == (500, False)
    assert "Traceback" not in answer.text


async def _assert_empty(kernel: StubKernel) -> None:
    """No executor and no run is there: a refused request leaves nothing behind."""
    assert (await kernel.api.get("/api/executors/list")).json()["executors"] == []
    assert await kernel.kernel.store.runs.newest(limit=1) == []
