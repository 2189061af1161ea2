"""A log made for a test, entry by entry, to be changed before it is walked along."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kernel_stub.log.chain import Entry
from kernel_stub.log.growth import grown
from kernel_stub.log.head import Head, empty_head, signed_head
from kernel_stub.log.identity import Identity
from kernel_stub.log.walk import Walk
from kernel_stub.rules.records import EventDraft, RunEvent

NODE: Final = Identity(b"n" * 32)
STRANGER: Final = Identity(b"s" * 32)


@dataclass
class MadeLog:
    """Entries and the head over them."""

    identity: Identity = NODE
    entries: list[Entry] = field(default_factory=list)
    tip: Head = field(default_factory=lambda: empty_head(NODE))

    def change(self, *tasks: str, runs: tuple[str, ...] = ()) -> None:
        """Append an event of each of these tasks, then one of each of these runs."""
        drafts = [EventDraft("TASK_EXPIRED", task_id, {"task_id": task_id}, 1) for task_id in tasks]
        told = [RunEvent(run, "RUN_KICKOFF", {"run_id": run}, 1) for run in runs]
        self.tip, entries = grown(self.tip, self.identity, drafts, told)
        self.entries += entries

    @property
    def head(self) -> Head:
        """The head as it would be committed now."""
        return signed_head(self.identity, self.tip)

    def walk(self, *, head: Head | None = None, kept: Head | None = None, trusted: Identity = NODE) -> int:
        """Walk along the entries; how many there were."""
        walk = Walk(frozenset({trusted.node_id}), head=head or self.head, kept=kept)
        for entry in self.entries:
            walk.take(entry)
        walk.finish()
        return len(self.entries)


def made_log() -> MadeLog:
    """Twelve entries: four changes, each of two task events and one run event."""
    log = MadeLog()
    for n in range(4):
        log.change(f"t{n}a", f"t{n}b", runs=(f"r{n}",))
    return log
