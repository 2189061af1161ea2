"""The hash chain over all entries of a log: each link is the hash of the link before it and of its entry."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import orjson

from kernel_stub.log.entry import RunRow, Source

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
