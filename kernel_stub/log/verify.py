"""Verifying a log: every hash and every signature recomputed, and the first event that fails named."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from executor_sdk.protocol.digests import hex_digest
from executor_sdk.protocol.plain import Json
from kernel_stub.errors import BadSignatureError, BrokenLogError
from kernel_stub.log.forms import unsigned_bytes
from kernel_stub.log.identity import is_signed_by
from kernel_stub.log.kinds import KINDS, payload_type
from kernel_stub.log.sign import MAX_EVENT_BYTES


def verify(events: Iterable[tuple[int, bytes]]) -> int:
    """Check events given as (sequence number, bytes); returns how many there were.

    Raises:
        BrokenLogError: an event is not what was signed; BadSignatureError: it was not signed by its author.
    """
    count = 0
    for seq, body in events:
        verified(seq, body)
        count += 1
    return count


def verified(seq: int, body: bytes) -> dict[str, Json]:
    """The event in `body`, if its hash, its signature and its envelope hold."""
    event = _read(seq, body)
    try:
        reason = _breach(event, len(body))
    except (KeyError, TypeError, AttributeError, orjson.JSONEncodeError):
        reason = "it does not have the shape of an event"
    if reason is not None:
        raise BrokenLogError(seq, name_of(event), reason)
    if not is_signed_by(event["author_node_id"], event["event_id"].encode("ascii"), event["signature_hex"]):
        raise BadSignatureError(seq, name_of(event), "its signature is not its author's")
    return event


def _read(seq: int, body: bytes) -> dict[str, Json]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BrokenLogError(seq, "unreadable", "it is not JSON") from None
    if not isinstance(event, dict):
        raise BrokenLogError(seq, "unreadable", "it is not an object")
    return event


def _breach(event: dict[str, Json], size_bytes: int) -> str | None:
    payload = event["payload"]
    if hex_digest(unsigned_bytes(event)) != event["event_id"]:
        return "its id is not the hash of its content"
    if event["event_kind"] not in KINDS or payload["type"] != payload_type(event["event_kind"]):
        return "its kind and its payload differ"
    if event["task_id"] != payload["payload"].get("task_id"):
        return "its task id and its payload's differ"
    if size_bytes > MAX_EVENT_BYTES:
        return f"it is larger than {MAX_EVENT_BYTES} bytes"
    return None


def name_of(event: dict[str, Json]) -> str:
    """How a report names an event: kind, task, id."""
    return f"{event.get('event_kind')} of {event.get('task_id')}, {event.get('event_id')}"
