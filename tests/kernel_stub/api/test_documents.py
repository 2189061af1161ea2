"""The documents' own examples, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from kernel_stub.testing.stub_kernel import stub_kernel

pytestmark = pytest.mark.anyio

JSON: Final = {"content-type": "application/json"}

ADD_LOCAL: Final = b"""{
    "name": "local-agent",
    "base_url": "http://127.0.0.1:8080",
    "remote": false
  }"""

ADD_REMOTE: Final = b"""{
    "name": "remote-verifier",
    "base_url": "http://10.0.1.5:8080",
    "remote": true,
    "target_node_id": "node-abc123def456",
    "scope_hint": "lan:cluster-a"
  }"""

LISTED: Final = """{
  "ok": true,
  "executors": [
    {
      "name": "local-agent",
      "base_url": "http://127.0.0.1:8080",
      "agent_event_callback_base_url": null,
      "kind": "local",
      "target_node_id": null,
      "scope_hint": null,
      "commit_plane_endpoint": null,
      "commit_plane_token_file": null
    },
    {
      "name": "remote-verifier",
      "base_url": "http://10.0.1.5:8080",
      "agent_event_callback_base_url": null,
      "kind": "remote",
      "target_node_id": "node-abc123def456",
      "scope_hint": "lan:cluster-a",
      "commit_plane_endpoint": null,
      "commit_plane_token_file": null
    }
  ]
}"""


async def test_the_registry_answers_the_documents_bytes(tmp_path: Path) -> None:
    """Add two executors as documented; the list has the documents' keys, in their order, with their nulls."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        for body in (ADD_LOCAL, ADD_REMOTE):
            added = await kernel.api.post("/api/executors/add", content=body, headers=JSON)
            assert (added.status_code, added.content) == (200, b'{"ok":true}')

        listed = await kernel.api.get("/api/executors/list")

        assert json.dumps(listed.json(), indent=2) == LISTED


async def test_an_executor_that_is_not_there_is_told_in_the_documents_words(tmp_path: Path) -> None:
    """`ok` and `error` come first, as documented; `code` is ours."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        answer = await kernel.api.post("/api/executors/check", content=b'{ "name": "local-agent" }', headers=JSON)

    assert answer.status_code == 404
    assert answer.content == b'{"ok":false,"error":"executor not found: local-agent","code":"EXECUTOR_NOT_FOUND"}'


async def test_each_of_two_old_names_stands_in_for_the_other(tmp_path: Path) -> None:
    """The documents say `rt`, today's kernel `core-agent`; whichever is registered is found under both."""
    async with stub_kernel({"core-agent": _healthy}, state_dir=tmp_path, worker=False) as kernel:
        answers = [await kernel.api.post("/api/executors/check", json={"name": name}) for name in ("rt", "core-agent")]

    assert [answer.json() for answer in answers] == [{"ok": True}] * 2


async def test_adding_a_name_again_replaces_its_entry(tmp_path: Path) -> None:
    """A name is there once, with what was said of it last."""
    async with stub_kernel({"rt": _healthy}, state_dir=tmp_path, worker=False) as kernel:
        await kernel.api.post("/api/executors/add", json={"name": "rt", "base_url": "http://u:p@127.0.0.1:9"})
        listed = (await kernel.api.get("/api/executors/list")).json()["executors"]

    assert [(entry["name"], entry["base_url"]) for entry in listed] == [("rt", "http://***@127.0.0.1:9")]


async def test_the_sample_contract_is_the_kernels(tmp_path: Path) -> None:
    """The sample names the task that was asked for, and asks for an `answer`."""
    async with stub_kernel({}, state_dir=tmp_path, worker=False) as kernel:
        contract = (await kernel.api.get("/api/task/sample?task_id=t-1")).json()["contract"]
        without = await kernel.api.get("/api/task/sample")

    assert (contract["task_id"], contract["task_type"], contract["inputs"]) == ("t-1", "swarm", {"prompt": "hello"})
    assert contract["output_schema"]["required"] == ["answer"]
    assert without.status_code == 400


async def _healthy(scope: object, receive: object, send: object) -> None:
    """An executor that is well."""
    await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b'{"status":"ok"}'})  # type: ignore[operator]
