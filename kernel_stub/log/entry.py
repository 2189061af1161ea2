"""The entries of a log, task events and run events in one sequence, as they are read back to be checked."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

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
