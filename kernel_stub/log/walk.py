"""The walk along a log: every entry checked in its place, the first that does not hold named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import orjson
from anyio import to_thread

from executor_sdk.protocol.plain import Json
from kernel_stub.errors import BadSignatureError, BrokenHeadError, BrokenLogError, RolledBackError
from kernel_stub.log.chain import (
    GENESIS,
    Entry,
    RunRow,
    Source,
    Stray,
    TaskRow,
    linked,
    run_event_body,
    unsigned_run_event,
)
from kernel_stub.log.head import Head, check_head
from kernel_stub.log.identity import Trusted, is_signed_by
from kernel_stub.log.verify import name_of, verified
from kernel_stub.rules.records import RunEvent

#: What an entry says once it was checked.
Checked: TypeAlias = "dict[str, Json] | RunEvent"

#: What goes on with an event, given its number.
Follower: TypeAlias = Callable[[int, Checked], None]

#: Entries after a place in the sequence, at most so many.
PageReader: TypeAlias = Callable[[int, int], Awaitable[list[Entry]]]

#: Entries a page; what nodes give each other at once.
PAGE_EVENTS: Final = 256

_LOST: Final = "the log has lost it"


class Walk:
    """A walk under way; feed it the log in order. Without a head only what each event says of itself is checked."""

    def __init__(self, trusted: Trusted, *, head: Head | None = None, kept: Head | None = None) -> None:
        """`kept` is a head of this log that was printed earlier and kept elsewhere.

        Raises:
            BrokenHeadError: a head was not signed by a trusted key.
        """
        self._trusted = trusted
        self.head = head
        self._kept = kept
        for given in (head, kept):
            if given is not None:
                check_head(given, trusted)
        self._entries = 0
        self._link = GENESIS
        self._numbers: dict[Source, int] = {"event": 0, "run event": 0}

    async def along(self, read: PageReader, follower: Follower | None = None) -> None:
        """Walk along a log in worker threads, as far as the head speaks of it: a log that lives has gone on since.

        `follower` gets each event with its number; `finish` is the caller's.

        Raises:
            LogError: the first entry that does not hold, or that `follower` refuses.
        """
        after = 0
        while page := await read(after, PAGE_EVENTS):
            await to_thread.run_sync(self._take_page, page, follower)
            after = page[-1].entry

    def take(self, entry: Entry) -> Checked:
        """Check the next entry.

        Raises:
            BrokenLogError: it is not there, not what was signed, or not in its place.
            RolledBackError: up to here, the log is not the one whose head was kept.
        """
        self._place(entry)
        checked = self._task_event(entry) if entry.source == "event" else self._run_event(entry)
        if self._kept is not None and self._entries == self._kept.entries and self._link != self._kept.link:
            raise RolledBackError(self._kept.entries, self._entries)
        return checked

    def finish(self, stray: Stray | None = None) -> None:
        """Hold the whole walk against its head; `stray` is an event that it did not come by.

        Raises:
            BrokenLogError: entries are missing at the end, or an event stands outside the sequence.
            BrokenHeadError: the entries are not the ones whose head was signed.
            RolledBackError: the log is shorter than when its head was kept.
        """
        if self._kept is not None and self._entries < self._kept.entries:
            raise RolledBackError(self._kept.entries, self._entries)
        if self.head is None:
            return
        counts: dict[Source, int] = {"event": self.head.events, "run event": self.head.run_events}
        for source, count in counts.items():
            if (last := self._numbers[source]) < count:
                raise BrokenLogError(last + 1, "not there", _LOST, what=source)
        if (self._entries, self._link) != (self.head.entries, self.head.link):
            raise BrokenHeadError(
                self.head.entries, f"the log has {self._entries} entries, and others than were signed"
            )
        if stray is not None:
            reason = "it stands outside the chain: nobody appended it"
            raise BrokenLogError(stray.number, "not chained", reason, what=stray.source)

    def _take_page(self, page: list[Entry], follower: Follower | None) -> None:
        for entry in page:
            if self.head is not None and entry.entry > self.head.entries:
                return
            checked = self.take(entry)
            if follower is not None:
                follower(entry.number, checked)

    def _place(self, entry: Entry) -> None:
        expected = self._numbers[entry.source] + 1
        if entry.event is None:
            raise BrokenLogError(entry.number, "not there", _LOST, what=entry.source)
        if entry.number > expected:
            raise BrokenLogError(expected, "not there", _LOST, what=entry.source)
        if entry.number < expected:
            raise BrokenLogError(entry.number, f"entry {entry.entry}", "it stands in the log twice", what=entry.source)
        if entry.entry != self._entries + 1:
            raise BrokenLogError(self._entries + 1, "not there", "the chain has lost it", what="entry")
        self._entries, self._numbers[entry.source] = entry.entry, entry.number

    def _task_event(self, entry: Entry) -> dict[str, Json]:
        row = entry.event
        assert isinstance(row, TaskRow)  # noqa: S101 - by its source
        event = verified(row.number, row.body, self._trusted)
        if (name := _other_column(row, event)) is not None:
            reason = f"the column {name} beside it does not say what it says"
            raise BrokenLogError(row.number, name_of(event), reason)
        self._go_on(entry, row.body, name_of(event))
        return event

    def _run_event(self, entry: Entry) -> RunEvent:
        row = entry.event
        assert isinstance(row, RunRow)  # noqa: S101 - by its source
        name = f"{row.event_type} of {row.run_id}"
        author = self.head.node_id if self.head is not None else ""
        unsigned = unsigned_run_event(row, entry=entry.entry, after=self._link, author=author)
        if not is_signed_by(author, unsigned, row.signature_hex):
            reason = "its signature is not its node's over this content in this place of the log"
            raise BadSignatureError(row.number, name, reason, what="run event")
        self._go_on(entry, run_event_body(unsigned, row.signature_hex), name)
        try:
            payload = orjson.loads(row.payload)
        except orjson.JSONDecodeError:
            raise BrokenLogError(row.number, name, "its payload is not JSON", what="run event") from None
        return RunEvent(row.run_id, row.event_type, payload, row.created_at, row.number, row.subject)

    def _go_on(self, entry: Entry, body: bytes, name: str) -> None:
        self._link = linked(self._link, entry.source, body)
        if entry.link is not None and entry.link != self._link:
            reason = f"it is not what was chained as entry {entry.entry}, or the chain was changed there"
            raise BrokenLogError(entry.number, name, reason, what=entry.source)


def _other_column(row: TaskRow, event: Mapping[str, Json]) -> str | None:
    if row.event_id is None:
        return None
    told = {"event_id": event["event_id"], "task_id": event["task_id"], "kind": event["event_kind"]}
    found = {"event_id": row.event_id, "task_id": row.task_id, "kind": row.kind}
    return next((name for name in told if told[name] != found[name]), None)
