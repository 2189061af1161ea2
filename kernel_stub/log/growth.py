"""Appending to a log: from what is to be told to signed and chained entries, and the head that they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from msgspec.structs import replace

from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.digests import hex_digest
from kernel_stub.errors import InvalidEventError
from kernel_stub.log.chain import Entry, RunRow, TaskRow, linked, run_event_body, unsigned_run_event
from kernel_stub.log.forms import unsigned_event
from kernel_stub.log.head import Head
from kernel_stub.log.identity import Identity
from kernel_stub.rules.records import EventDraft, RunEvent

#: Bytes that one event may have.
MAX_EVENT_BYTES: Final = 131_072


def grown(
    head: Head, identity: Identity, drafts: Sequence[EventDraft], told: Sequence[RunEvent]
) -> tuple[Head, list[Entry]]:
    """Sign and chain the events of one change: those of tasks first, because the run's events rest on them.

    The head is not signed yet: more may follow in the same transaction.

    Raises:
        InvalidEventError: an event would be larger than the protocol allows.
    """
    link = head.link
    entries: list[Entry] = []
    for number, draft in enumerate(drafts, head.events + 1):
        event = signed(identity, draft, number)
        link = linked(link, "event", event.body)
        entries.append(Entry(head.entries + len(entries) + 1, "event", number, event, link))
    for number, run_event in enumerate(told, head.run_events + 1):
        entry = head.entries + len(entries) + 1
        row, link = sealed(identity, _row(number, run_event), entry=entry, after=link)
        entries.append(Entry(entry, "run event", number, row, link))
    counts = (head.events + len(drafts), head.run_events + len(told), head.entries + len(entries))
    return Head(*counts, head.adopted, link.hex(), head.node_id), entries


def signed(identity: Identity, draft: EventDraft, number: int) -> TaskRow:
    """Give the draft its id and its author's signature.

    Raises:
        InvalidEventError: the event would be larger than the protocol allows.
    """
    data = declared_bytes(unsigned_event(draft, author=identity.node_id))
    event_id = hex_digest(data)
    signature = identity.sign(event_id.encode("ascii"))
    # The signed form is the unsigned one with a field before and one behind: encoded once.
    body = b'{"event_id":"%b",%b,"signature_hex":"%b"}' % (event_id.encode(), data[1:-1], signature.encode())
    if len(body) > MAX_EVENT_BYTES:
        raise InvalidEventError(f"event is {len(body)} bytes; at most {MAX_EVENT_BYTES} are allowed")
    return TaskRow(number, body, event_id, draft.task_id, draft.kind)


def sealed(identity: Identity, row: RunRow, *, entry: int, after: bytes) -> tuple[RunRow, bytes]:
    """The run event with its signature for this place in the log, and its link."""
    unsigned = unsigned_run_event(row, entry=entry, after=after, author=identity.node_id)
    signature_hex = identity.sign(unsigned)
    link = linked(after, "run event", run_event_body(unsigned, signature_hex))
    return replace(row, signature_hex=signature_hex), link


def _row(number: int, event: RunEvent) -> RunRow:
    payload = orjson.dumps(event.payload)
    return RunRow(number, event.run_id, event.event_type, payload, event.created_at, event.subject, "")
