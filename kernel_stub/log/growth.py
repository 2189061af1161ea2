"""Appending to a log: from what is to be told to the signed rows, the links, and the tip that they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import orjson

from kernel_stub.log.chain import linked, run_event_body, unsigned_run_event
from kernel_stub.log.entry import RunRow, TaskRow
from kernel_stub.log.head import Head, signed_head
from kernel_stub.log.identity import Identity
from kernel_stub.log.sign import signed
from kernel_stub.rules.records import EventDraft, RunEvent


class Tip(msgspec.Struct, frozen=True):
    """The end of a log inside a transaction that appends to it, before its head is signed."""

    events: int
    run_events: int
    entries: int
    link: bytes


class Link(msgspec.Struct, frozen=True):
    """The place of an event in the chain; it is of a task, or of a run."""

    entry: int
    event: int | None
    run_event: int | None
    link: bytes


class Growth(msgspec.Struct, frozen=True):
    """What one change appends, and the tip that the log has then."""

    tip: Tip
    events: list[TaskRow]
    run_events: list[RunRow]
    links: list[Link]


def tip_of(head: Head) -> Tip:
    """Where a log with this head goes on."""
    return Tip(head.events, head.run_events, head.entries, head.link)


def head_of(tip: Tip, identity: Identity, *, adopted: int) -> Head:
    """The signed head of a log that ends here."""
    head = Head(tip.events, tip.run_events, tip.entries, adopted, tip.link.hex(), identity.node_id)
    return signed_head(identity, head)


def grown(tip: Tip, identity: Identity, drafts: Iterable[EventDraft], told: Sequence[RunEvent]) -> Growth:
    """Sign and chain the events of one change: those of tasks first, because the run's events rest on them.

    Raises:
        InvalidEventError: an event would be larger than the protocol allows.
    """
    number, run_number, entry, link = tip.events, tip.run_events, tip.entries, tip.link
    events: list[TaskRow] = []
    run_events: list[RunRow] = []
    links: list[Link] = []
    for draft in drafts:
        event = signed(identity, draft)
        number, entry, link = number + 1, entry + 1, linked(link, "event", event.body)
        events.append(TaskRow(number, event.body, event.event_id, event.task_id, event.kind))
        links.append(Link(entry, number, None, link))
    for run_event in told:
        run_number, entry = run_number + 1, entry + 1
        row, link = sealed(identity, _row(run_number, run_event), entry=entry, after=link)
        run_events.append(row)
        links.append(Link(entry, None, run_number, link))
    return Growth(Tip(number, run_number, entry, link), events, run_events, links)


def sealed(identity: Identity, row: RunRow, *, entry: int, after: bytes) -> tuple[RunRow, bytes]:
    """The run event with its signature for this place in the log, and its link."""
    unsigned = unsigned_run_event(row, entry=entry, after=after, author=identity.node_id)
    signature_hex = identity.sign(unsigned)
    link = linked(after, "run event", run_event_body(unsigned, signature_hex))
    return msgspec.structs.replace(row, signature_hex=signature_hex), link


def _row(number: int, event: RunEvent) -> RunRow:
    payload = orjson.dumps(event.payload)
    return RunRow(number, event.run_id, event.event_type, payload, event.created_at, event.subject, "")
