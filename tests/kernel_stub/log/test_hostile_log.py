"""Logs that somebody made: whatever stands in them is a verdict with the event's name, never another exception."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.digests import hex_digest
from kernel_stub.errors import BrokenLogError, InvalidEventError, UntrustedKeyError
from kernel_stub.log.forms import unsigned_bytes
from kernel_stub.log.growth import signed
from kernel_stub.log.identity import Identity
from kernel_stub.log.verify import verified
from kernel_stub.rules.records import EventDraft
from tests.kernel_stub.log.recorded import EVENTS, IDENTITY, LINES, TRUSTED, replayed, verified_lines


def resigned(event: dict[str, Any]) -> bytes:
    """The event rightly signed again after a change, as its author could."""
    unsigned = {name: value for name, value in event.items() if name not in {"event_id", "signature_hex"}}
    event_id = hex_digest(unsigned_bytes(unsigned))
    return declared_bytes({"event_id": event_id, **unsigned, "signature_hex": IDENTITY.sign(event_id.encode())})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"{}", b'{"payload": 5}', b'{"event_kind": []}', b"\xff"])
def test_nonsense_is_a_broken_event(body: bytes) -> None:
    """Its number is what is left to name it by."""
    with pytest.raises(BrokenLogError, match=r"^event 7 "):
        verified(7, body, TRUSTED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_kind": "TASK_EATEN"}, "its kind and its payload differ"),
        ({"event_kind": "TASK_CLAIMED"}, "its kind and its payload differ"),
        ({"task_id": "another"}, "its task id and its payload's differ"),
        ({"author_node_id": "00" * 32}, "its signature is not its author's"),
        ({"author_node_id": 5}, "its signature is not its author's"),
    ],
)
def test_a_rightly_hashed_event_can_still_be_wrong(change: dict[str, Any], reason: str) -> None:
    """Envelope and payload must tell the same story."""
    with pytest.raises(BrokenLogError, match=reason):
        verified_lines([resigned({**EVENTS[0], **change})])


def test_an_event_larger_than_the_protocol_allows_is_neither_signed_nor_accepted() -> None:
    """Whoever wrote it."""
    event = json.loads(json.dumps(EVENTS[0]))
    event["payload"]["payload"]["inputs"] = "x" * 140_000

    with pytest.raises(BrokenLogError, match="larger than 131072 bytes"):
        verified_lines([resigned(event)])
    with pytest.raises(InvalidEventError, match="at most 131072"):
        signed(IDENTITY, EventDraft("TASK_CREATED", "t", event["payload"]["payload"], 1), 1)


def test_a_signed_payload_of_another_shape_is_a_broken_event() -> None:
    """Its author could sign it; nobody can replay it."""
    event = json.loads(json.dumps(EVENTS[1]))
    assert event["event_kind"] == "TASK_CLAIMED"
    del event["payload"]["payload"]["role"]

    with pytest.raises(BrokenLogError, match="does not have the shape of its kind"):
        replayed([LINES[0], resigned(event)])


def test_a_forged_finality_signature_is_found() -> None:
    """The event's own signature holds; the proof inside is not its signer's."""
    task = [event for event in EVENTS if event["task_id"] == "run-majority-a-1"]
    last = json.loads(json.dumps(task[-1]))
    last["payload"]["payload"]["finality_proof"]["signatures"][0]["signature_hex"] = "00" * 64

    with pytest.raises(BrokenLogError, match="a signature of its finality proof"):
        replayed([*(declared_bytes(event) for event in task[:-1]), resigned(last)])


@pytest.mark.parametrize("missing", range(8))
def test_an_event_left_out_of_a_log_is_found_by_the_replay(missing: int) -> None:
    """Every hash holds; the story does not."""
    task = [event for event in EVENTS if event["task_id"] == "run-majority-a-1"]
    left = [declared_bytes(event) for event in (*task[:missing], *task[missing + 1 :])]
    assert verified_lines(left) == len(task) - 1

    with pytest.raises(BrokenLogError):
        replayed(left)


def test_a_log_signed_whole_by_another_key_is_not_trusted() -> None:
    """Every hash and signature holds; the key that was expected and the one that was found are told."""
    forger = Identity(b"f" * 32)
    draft = EventDraft("TASK_CREATED", "t", {"task_id": "t"}, 1)
    line = signed(forger, draft, 1).body

    assert verified_lines([line], trusted=TRUSTED | {forger.node_id}) == 1
    with pytest.raises(UntrustedKeyError) as caught:
        verified_lines([line])

    assert f"key {forger.node_id} signed it, expected was {IDENTITY.node_id}" in caught.value.sentence


@pytest.mark.parametrize(
    ("path", "where"),
    [((), "$"), (("payload",), "$.payload"), (("payload", "payload"), "$.payload.payload")],
)
def test_a_field_that_is_not_signed_is_found_and_named(path: tuple[str, ...], where: str) -> None:
    """A reader would take it for a part of what was signed."""
    event = json.loads(LINES[1])
    part = event
    for name in path:
        part = part[name]
    part["note"] = "approved"

    with pytest.raises(BrokenLogError, match=rf"{re.escape(where)}\.note is a field that is not signed"):
        verified_lines([LINES[0], json.dumps(event).encode()])


def test_a_field_that_is_not_signed_is_found_inside_a_list() -> None:
    """Evidence references stand in one."""
    event = next(event for event in EVENTS if event["event_kind"] == "DECISION_FINALIZED")
    event = json.loads(json.dumps(event))
    event["payload"]["payload"]["finality_proof"]["signatures"][0]["note"] = 1

    with pytest.raises(BrokenLogError, match=r"finality_proof\.signatures\[0\]\.note is a field that is not signed"):
        verified_lines([json.dumps(event).encode()])


@pytest.mark.parametrize("key", [b"task_id", b"execution_id", b"signature_hex"])
def test_a_key_that_stands_twice_is_found_and_named(key: bytes) -> None:
    """One reader takes the first value, another one the last."""
    doubled = LINES[1].replace(b'"%b":' % key, b'"%b":"forged","%b":' % (key, key), 1)

    with pytest.raises(BrokenLogError, match=rf"the key {key.decode()} stands twice"):
        verified_lines([LINES[0], doubled])
