"""The log inside the store: entries appended under one head, which is signed once for each commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from msgspec.structs import asdict, replace

from executor_sdk.protocol.digests import output_digest
from kernel_stub.errors import BrokenHeadError, BrokenLogError, ForeignSeedError
from kernel_stub.log.chain import Entry, RunRow, Stray, TaskRow, linked
from kernel_stub.log.growth import grown, sealed
from kernel_stub.log.head import Head, check_head, empty_head, signed_head
from kernel_stub.log.identity import Identity
from kernel_stub.log.walk import PAGE_EVENTS
from kernel_stub.rules.records import EventDraft, RunEvent
from kernel_stub.store.database import Transaction
from kernel_stub.store.rows import Row

#: In the order in which they are counted.
_STRAYS: Final[Mapping[str, str]] = {
    "event": "find_stray_event",
    "run event": "find_stray_run_event",
    "entry": "find_stray_entry",
}


class Logbook:
    """What the writer appends with: the tip of the log from the first append of a transaction to its end.

    No longer: another process may append before the next one begins, and what was rolled back was never there.
    """

    def __init__(self) -> None:
        #: The head of what the open transaction has appended to, not signed yet; and who will sign it.
        self._grown: tuple[Identity, Head] | None = None
        #: The head that was signed or checked here last; one that another process left is checked first.
        self._known: Head | None = None

    def append(
        self, transaction: Transaction, identity: Identity, drafts: Sequence[EventDraft], told: Sequence[RunEvent]
    ) -> None:
        """Number, sign, chain and insert the events of one change.

        Raises:
            InvalidEventError: an event would be larger than the protocol allows.
            BrokenHeadError: somebody else wrote the head; to append to it would be to sign what it says.
        """
        if not (drafts or told):
            return
        head = self._grown[1] if self._grown else self._locked(transaction, identity)
        head, entries = grown(head, identity, drafts, told)
        rows = [entry.event for entry in entries if entry.event is not None]
        transaction.run_each("append_event", (asdict(row) for row in rows if isinstance(row, TaskRow)))
        transaction.run_each("append_run_event", (asdict(row) for row in rows if isinstance(row, RunRow)))
        transaction.run_each("append_link", map(_link_values, entries))
        self._grown = identity, head

    def seal(self, transaction: Transaction) -> None:
        """Sign the head of what this transaction has appended; called just before it is committed."""
        if self._grown is not None:
            self._known = signed_head(*self._grown)
            _put_head(transaction, self._known)
        self.forget()

    def forget(self) -> None:
        """The transaction has ended, one way or the other."""
        self._grown = None

    def _locked(self, transaction: Transaction, identity: Identity) -> Head:
        """Where the log stands. Locked first and counted second: who else appends waits for this transaction."""
        if not (found := transaction.run("lock_head")):
            raise BrokenHeadError(0, "it is not there")
        head = Head(*found[0])
        if head != self._known:
            check_head(head, frozenset({identity.node_id}))
            self._known = head
        return head


def signer_of(transaction: Transaction) -> str | None:
    """The key that signed this log; None while the log is empty."""
    if (head := load_head(transaction)) is not None:
        return head.node_id if head.entries else None
    first = transaction.run("first_event")
    try:
        return str(orjson.loads(first[0][0])["author_node_id"]) if first else None
    except (ValueError, LookupError, TypeError):
        raise BrokenLogError(1, "unreadable", "it does not have the shape of an event") from None


def has_head(transaction: Transaction, identity: Identity) -> bool:
    """Whether the log has a head of this node's; one of another node counts only while the log is empty.

    Raises:
        ForeignSeedError: another node signed the log.
    """
    head = load_head(transaction)
    if head is None or head.node_id == identity.node_id:
        return head is not None
    if head.entries:
        raise ForeignSeedError(found=identity.node_id, expected=head.node_id)
    return False


def begin_log(transaction: Transaction, identity: Identity) -> None:
    """Give the log its first head; entries of an older release are chained as they stand."""
    if not has_head(transaction, identity):
        _put_head(transaction, _adopted(transaction, identity))


def load_head(transaction: Transaction) -> Head | None:
    """The head as it was last committed; None for a log of an older release."""
    found = transaction.run("load_head")
    return Head(*found[0]) if found else None


def find_stray(transaction: Transaction, head: Head) -> Stray | None:
    """What stands outside the log that its head speaks of; both are read in one transaction.

    Counting tells whether there is anything; only then is it looked for, which takes as long as the log is.
    """
    (counts,) = transaction.run("count_log")
    spoken_of = (head.events, head.run_events, head.entries)
    for (source, statement), there, told in zip(_STRAYS.items(), counts, spoken_of, strict=True):
        if there > told and (number := transaction.run(statement)[0][0]) is not None:
            return Stray(source, number)
    return None


def load_entries(transaction: Transaction, after: int, limit: int) -> list[Entry]:
    """Entries behind this place of the sequence."""
    return [_entry(row) for row in transaction.run("entries_page", after=after, limit=limit)]


def _entry(row: Row) -> Entry:
    (entry, event, run_event, link), of_task, of_run = row[:4], row[4:9], row[9:]
    if event is not None:
        return Entry(entry, "event", event, None if of_task[0] is None else TaskRow(*of_task), link)
    return Entry(entry, "run event", run_event, None if of_run[0] is None else RunRow(*of_run), link)


def _put_head(transaction: Transaction, head: Head) -> None:
    transaction.run("put_head", **asdict(head))


def _adopted(transaction: Transaction, identity: Identity) -> Head:
    """Chain what an older release left: the events of tasks first, because those of runs rest on them."""
    if (links := transaction.run("count_log")[0][2]) > 0:
        raise BrokenHeadError(links, "it is not there")
    head = empty_head(identity)
    while page := transaction.run("events_page", after=head.events, limit=PAGE_EVENTS):
        for seq, body in page:
            link = linked(head.link, "event", body)
            head = _chained(transaction, head, Entry(head.entries + 1, "event", seq, None, link))
    while page := transaction.run("run_events_page", after=head.run_events, limit=PAGE_EVENTS):
        for number, run_id, event_type, payload, created_at, spec in page:
            subject = None if spec is None else output_digest(orjson.loads(spec))
            bare = RunRow(number, run_id, event_type, payload, created_at, subject, "")
            row, link = sealed(identity, bare, entry=head.entries + 1, after=head.link)
            transaction.run("sign_run_event", number=number, subject=subject, signature_hex=row.signature_hex)
            head = _chained(transaction, head, Entry(head.entries + 1, "run event", number, row, link))
    return signed_head(identity, replace(head, adopted=head.entries))


def _chained(transaction: Transaction, head: Head, entry: Entry) -> Head:
    """Put an entry of an older release into the chain; the head behind it is not signed yet."""
    transaction.run("append_link", **_link_values(entry))
    grown_by = {"events" if entry.source == "event" else "run_events": entry.number}
    return replace(head, **grown_by, entries=entry.entry, chain=(entry.link or b"").hex())


def _link_values(entry: Entry) -> dict[str, Any]:
    of_task = entry.source == "event"
    event, run_event = (entry.number, None) if of_task else (None, entry.number)
    return {"entry": entry.entry, "event": event, "run_event": run_event, "link": entry.link}
