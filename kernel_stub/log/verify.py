"""Verifying one event: its hash and its signature recomputed, and nothing in it that is not signed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import orjson

from executor_sdk.protocol.digests import hex_digest
from executor_sdk.protocol.plain import Json
from kernel_stub.errors import BadSignatureError, BrokenLogError, UntrustedKeyError
from kernel_stub.log.forms import KINDS, payload_type, undeclared, unsigned_bytes
from kernel_stub.log.growth import MAX_EVENT_BYTES
from kernel_stub.log.identity import Trusted, is_signed_by

_NO_SHAPE: Final = "it does not have the shape of an event"


def verified(seq: int, body: bytes, trusted: Trusted) -> dict[str, Json]:
    """The event in `body`, if its hash, its signature and its envelope hold.

    Raises:
        BrokenLogError: it is not what was signed, or more than that.
        BadSignatureError: its author did not sign it. UntrustedKeyError: its author's key is not a trusted one.
    """
    event = _read(seq, body)
    try:
        reason = _breach(event, body)
    except (KeyError, TypeError, AttributeError, orjson.JSONEncodeError):
        reason = _NO_SHAPE
    if reason is not None:
        raise BrokenLogError(seq, name_of(event), reason)
    author = event["author_node_id"]
    if not is_signed_by(author, event["event_id"].encode("ascii"), event["signature_hex"]):
        raise BadSignatureError(seq, name_of(event), "its signature is not its author's")
    if author not in trusted:
        raise UntrustedKeyError(seq, name_of(event), found=author, expected=trusted)
    return event


def name_of(event: dict[str, Json]) -> str:
    """How a report names an event: kind, task, id."""
    return f"{event.get('event_kind')} of {event.get('task_id')}, {event.get('event_id')}"


def _read(seq: int, body: bytes) -> dict[str, Json]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BrokenLogError(seq, "unreadable", "it is not JSON") from None
    if not isinstance(event, dict):
        raise BrokenLogError(seq, "unreadable", "it is not an object")
    return event


def _breach(event: dict[str, Json], body: bytes) -> str | None:
    payload = event["payload"]
    if hex_digest(unsigned_bytes(event)) != event["event_id"]:
        return "its id is not the hash of its content"
    if event["event_kind"] not in KINDS or payload["type"] != payload_type(event["event_kind"]):
        return "its kind and its payload differ"
    if event["task_id"] != payload["payload"].get("task_id"):
        return "its task id and its payload's differ"
    if len(body) > MAX_EVENT_BYTES:
        return f"it is larger than {MAX_EVENT_BYTES} bytes"
    return _unsigned_part(event, body)


def _unsigned_part(event: dict[str, Json], body: bytes) -> str | None:
    """What stands in the body without being part of what is signed."""
    if (path := undeclared(event)) is not None:
        return f"{path} is a field that is not signed"
    # What is printed from the parsed event has each key once: mostly that is the body itself.
    if orjson.dumps(event) != body and (key := _repeated_key(body)) is not None:
        return f"the key {key} stands twice in one object"
    return None


def _repeated_key(body: bytes) -> str | None:
    """The first key that an object of this JSON text has more than once; a reader takes one of the two values."""
    found: list[str] = []

    def take(pairs: Iterable[tuple[str, Json]]) -> None:
        keys: set[str] = set()
        for key, _ in pairs:
            if key in keys:
                found.append(key)
            keys.add(key)

    # Numbers are left as text: their digits are not of interest, and may be too many for an integer.
    json.loads(body, object_pairs_hook=take, parse_int=str, parse_float=str)
    return found[0] if found else None
