"""An exported log: the events in the kernel's own bytes, one a line, and its chain in a file beside them.

The first line of the chain's file is the signed head; each further one is an entry with its link: the number of an
event in the other file, or a whole run event.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, BinaryIO, Final

import msgspec
import orjson
from anyio import to_thread
from msgspec.structs import asdict

from kernel_stub.errors import LogError
from kernel_stub.log.chain import Entry, RunRow, Stray, TaskRow
from kernel_stub.log.head import Head, head_document, read_head

#: The longest line that is read from a file: far above the largest event, and not a whole wrong file.
MAX_LINE_BYTES: Final = 1_048_576


class UnreadableChainError(LogError):
    """The file is no chain of a log: give what `log export --chain` wrote."""

    code = "UNREADABLE_CHAIN"

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line} is not of a log's chain: give the file that `log export --chain` wrote")


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of the chain's file."""

    entry: int
    link: str
    event: int | None = None
    run_event: dict[str, Any] | None = None


def head_line(head: Head) -> bytes:
    """The first line of the chain's file."""
    return orjson.dumps(head_document(head))


def chain_line(entry: Entry) -> bytes:
    """The line of the chain's file for one entry."""
    line: dict[str, Any] = {"entry": entry.entry, "link": (entry.link or b"").hex()}
    if isinstance(entry.event, RunRow):
        row = entry.event
        line["run_event"] = {**asdict(row), "payload": row.payload.decode()}
    else:
        line["event"] = entry.number
    return orjson.dumps(line)


class Exported:
    """Both files of an exported log, read once from front to back; without a chain an event's number is its line's."""

    def __init__(self, events: BinaryIO, chain: BinaryIO | None = None) -> None:
        self._events = events
        self._chain = chain
        self._lines = 0
        self.head: Head | None = None if chain is None else read_head(chain.readline(MAX_LINE_BYTES))

    async def page(self, after: int, limit: int) -> list[Entry]:
        """The next entries."""
        return await to_thread.run_sync(self._page, after, limit)

    def stray(self) -> Stray | None:
        """The first line that the chain did not come by, once it has been read to its end."""
        return None if self._next_event() is None else Stray("event", self._lines)

    def _page(self, after: int, limit: int) -> list[Entry]:
        if self._chain is None:
            return [Entry(row.number, "event", row.number, row) for row in islice(iter(self._next_event, None), limit)]
        chain = self._chain
        lines = islice(iter(lambda: chain.readline(MAX_LINE_BYTES), b""), limit)
        return [self._entry(line, after + n + 1) for n, line in enumerate(lines, 1)]

    def _next_event(self) -> TaskRow | None:
        line = self._events.readline(MAX_LINE_BYTES)
        if not line:
            return None
        self._lines += 1
        return TaskRow(self._lines, line.strip())

    def _entry(self, text: bytes, line_number: int) -> Entry:
        try:
            line = msgspec.json.decode(text, type=_Line)
            link = bytes.fromhex(line.link)
            if line.run_event is not None:
                payload = line.run_event["payload"].encode()
                row = msgspec.convert({**line.run_event, "payload": payload}, RunRow)
                return Entry(line.entry, "run event", row.number, row, link)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise UnreadableChainError(line_number) from None
        if line.event is None:
            raise UnreadableChainError(line_number)
        return Entry(line.entry, "event", line.event, self._next_event(), link)
