"""The log over HTTP: its head, its checks, and what they say of a log that was changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from kernel_stub.log.chain import GENESIS, TaskRow, linked
from kernel_stub.log.growth import signed
from kernel_stub.log.head import Head, check_head, read_head, signed_head
from kernel_stub.log.identity import Identity, load_or_create
from kernel_stub.rules.records import EventDraft
from kernel_stub.testing.stub_kernel import StubKernel, stub_kernel
from tests.kernel_stub.scripted import Scripted

pytestmark = pytest.mark.anyio

SPEC = {"run_id": "r", "agents": [{"agent_id": "a", "executor": "rt", "prompt": "{}"}]}


async def test_the_head_is_the_kernels_number_and_beside_it_the_signed_head(tmp_path: Path) -> None:
    """What stands beside it is what `log verify --from` takes."""
    async with stub_kernel({"rt": Scripted()}, state_dir=tmp_path) as stub:
        await stub.run(SPEC)
        answer = (await stub.api.get("/api/log/head")).json()
        own = stub.kernel.identity.node_id

    assert list(answer) == ["ok", "head", "signed_head"]
    assert answer["head"] == answer["signed_head"]["events"] == 9
    check_head(read_head(orjson.dumps(answer["signed_head"])), frozenset({own}))


@pytest.mark.parametrize("check", ["verify", "replay"])
async def test_a_log_that_was_changed_is_an_error_with_a_code(tmp_path: Path, check: str) -> None:
    """A program can tell what is wrong without reading the sentence."""
    async with stub_kernel({"rt": Scripted()}, state_dir=tmp_path) as stub:
        await stub.run(SPEC)
        _change(stub, "DROP TRIGGER run_events_are_never_removed", "DELETE FROM run_events WHERE event_id = 2")
        answer = await stub.api.post(f"/api/log/{check}")

    assert answer.status_code == 500
    assert answer.json()["code"] == "BROKEN_LOG"
    assert answer.json()["error"].startswith("run event 2 (not there) is broken")


async def test_another_nodes_events_count_where_the_settings_name_its_key(tmp_path: Path) -> None:
    """And nowhere else, however rightly they are signed."""
    other = Identity(b"o" * 32)
    own = load_or_create(tmp_path / "node_seed.hex")

    answers = []
    for trusted_keys in ((), (other.node_id,)):
        async with stub_kernel({}, state_dir=tmp_path, trusted_keys=trusted_keys) as stub:
            if not trusted_keys:
                _take_in(stub, signed(other, EventDraft("TASK_ANNOUNCED", "t", {"task_id": "t"}, 1), 1))
            answers.append(await stub.api.post("/api/log/verify"))

    assert [answer.status_code for answer in answers] == [500, 200]
    assert answers[0].json()["code"] == "UNTRUSTED_KEY"
    assert f"key {other.node_id} signed it, expected was {own.node_id}" in answers[0].json()["error"]


def _take_in(stub: StubKernel, event: TaskRow) -> None:
    """Chain an event of another node, as a node that listens to others will."""
    link = linked(GENESIS, "event", event.body)
    identity = stub.kernel.identity
    head = signed_head(identity, Head(1, 0, 1, 0, link.hex(), identity.node_id))
    with closing(sqlite3.connect(stub.kernel.settings.store_path, isolation_level=None)) as connection:
        row = (event.event_id, event.task_id, event.kind, event.body)
        connection.execute("INSERT INTO events (seq, event_id, task_id, kind, body) VALUES (1, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO chain (entry, event, link) VALUES (1, 1, ?)", [link])
        facts = (head.chain, head.signature_hex)
        connection.execute("UPDATE log_head SET events = 1, entries = 1, chain = ?, signature_hex = ?", facts)


def _change(stub: StubKernel, *statements: str) -> None:
    with closing(sqlite3.connect(stub.kernel.settings.store_path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
