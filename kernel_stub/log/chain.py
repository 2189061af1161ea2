"""The chain of a log: its entries, task events and run events in one sequence, each linked by a hash."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Literal, TypeAlias

import msgspec
import orjson

#: What an entry holds: an event of a task, in the kernel's form, or one of a run, in our own.
Source: TypeAlias = Literal["event", "run event"]


class TaskRow(msgspec.Struct, frozen=True):
    """A task event as it stands in the log; the columns beside its body are None where there are none."""

    number: int
    body: bytes
    event_id: str | None = None
    task_id: str | None = None
    kind: str | None = None


class RunRow(msgspec.Struct, frozen=True):
    """A run event as it stands in the log; `payload` are its bytes, `subject` the digest of what it is about."""

    number: int
    run_id: str
    event_type: str
    payload: bytes
    created_at: int
    subject: str | None
    signature_hex: str


class Entry(msgspec.Struct, frozen=True):
    """One place in the sequence. `event` is None where the log has lost it, `link` where there is no chain."""

    entry: int
    source: Source
    number: int
    event: TaskRow | RunRow | None
    link: bytes | None = None


class Stray(msgspec.Struct, frozen=True):
    """What stands beside the log: an event in no place of its sequence, or an entry that its head does not speak of."""

    source: str
    number: int


#: The link before the first entry.
GENESIS: Final = bytes(32)


def linked(before: bytes, source: Source, body: bytes) -> bytes:
    """The link of the entry with this body, behind the link `before`."""
    return sha256(b"%b%b:%b" % (before, source.encode(), body)).digest()


def unsigned_run_event(row: RunRow, *, entry: int, after: bytes, author: str) -> bytes:
    """The bytes that the signature of a run event is over. A form of our own: the kernel does not sign run events.

    The place in the sequence and the link before it are part of them, so that no run event fits anywhere else.
    """
    return b'{"entry":%d,"after":"%b","run_event":%d,"run_id":%b,"event_type":%b,"created_at":%d,"subject":%b,' % (
        entry,
        after.hex().encode(),
        row.number,
        orjson.dumps(row.run_id),
        orjson.dumps(row.event_type),
        row.created_at,
        orjson.dumps(row.subject),
    ) + b'"author_node_id":"%b","payload":%b}' % (author.encode(), row.payload)


def run_event_body(unsigned: bytes, signature_hex: str) -> bytes:
    """What is chained of a run event: the bytes that were signed, and the signature."""
    return b'%b,"signature_hex":"%b"}' % (unsigned[:-1], signature_hex.encode())
