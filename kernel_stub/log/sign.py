"""Signing: from a draft to the bytes of an event as the log keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.digests import hex_digest
from kernel_stub.errors import InvalidEventError
from kernel_stub.log.forms import unsigned_event
from kernel_stub.log.identity import Identity
from kernel_stub.rules.records import EventDraft

#: Bytes that one event may have.
MAX_EVENT_BYTES = 131_072


@dataclass(frozen=True, slots=True)
class SignedEvent:
    """An event as it is appended: its id, what it is about, and its bytes."""

    event_id: str
    task_id: str
    kind: str
    body: bytes


def signed(identity: Identity, draft: EventDraft) -> SignedEvent:
    """Give the draft its id and its author's signature.

    Raises:
        InvalidEventError: the event would be larger than the protocol allows.
    """
    unsigned = unsigned_event(
        draft.kind, draft.task_id, draft.payload, author=identity.node_id, created_at=draft.created_at
    )
    data = declared_bytes(unsigned)
    event_id = hex_digest(data)
    signature = identity.sign(event_id.encode("ascii"))
    # The signed form is the unsigned one with a field before and one behind: encoded once.
    body = b'{"event_id":"%b",%b,"signature_hex":"%b"}' % (event_id.encode(), data[1:-1], signature.encode())
    if len(body) > MAX_EVENT_BYTES:
        raise InvalidEventError(f"event is {len(body)} bytes; at most {MAX_EVENT_BYTES} are allowed")
    return SignedEvent(event_id, draft.task_id, draft.kind, body)
