"""Walking along a log whose entries were dropped, doubled, exchanged, renumbered or made new."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import pytest
from msgspec.structs import replace

from kernel_stub.errors import BadSignatureError, BrokenHeadError, BrokenLogError, LogError, RolledBackError
from kernel_stub.log.chain import GENESIS, Entry, RunRow, Stray, TaskRow, linked, run_event_body, unsigned_run_event
from kernel_stub.log.head import signed_head
from kernel_stub.log.walk import Walk
from tests.kernel_stub.log.made import NODE, STRANGER, MadeLog, made_log

#: What was done to the twelve entries, and how the report begins.
TAMPERINGS: Final[dict[str, tuple[Callable[[list[Entry]], list[Entry]], str]]] = {
    "an event dropped": (lambda entries: entries[:4] + entries[5:], r"^entry 5 \(not there\)"),
    "a run event dropped": (lambda entries: entries[:5] + entries[6:], r"^entry 6 \(not there\)"),
    "the last entry cut": (lambda entries: entries[:-1], r"^run event 4 \(not there\)"),
    "a tail cut": (lambda entries: entries[:-3], r"^event 7 \(not there\)"),
    "everything cut": (lambda entries: [], r"^event 1 \(not there\)"),
    "an entry doubled": (lambda entries: [*entries[:4], entries[3], *entries[4:]], r"^event 3 .*twice"),
    "places exchanged": (
        lambda entries: [*entries[:3], entries[4], entries[3], *entries[5:]],
        r"^event 3 \(not there\)",
    ),
    "events exchanged": (
        lambda entries: _exchanged(entries, 3, 4),
        r"^event 3 .*it is not what was chained as entry 4",
    ),
    "run events exchanged": (lambda entries: _exchanged(entries, 2, 5), r"^run event 1 .*in this place of the log"),
    "a link changed": (lambda entries: _changed(entries, 7, link=GENESIS), r"^event 6 .*the chain was changed there"),
    "an event lost": (lambda entries: _changed(entries, 7, event=None), r"^event 6 \(not there\)"),
    "an entry renumbered": (lambda entries: _changed(entries, 7, entry=9), r"^entry 8 \(not there\)"),
    "its task changed": (
        lambda entries: _with_row(entries, 7, task_id="other"),
        r"^event 6 .*the column task_id beside it",
    ),
    "its kind changed": (
        lambda entries: _with_row(entries, 7, kind="TASK_KILLED"),
        r"^event 6 .*the column kind beside it",
    ),
    "a payload changed": (
        lambda entries: _with_row(entries, 5, payload=b'{"run_id":"x"}'),
        r"^run event 2 .*its signature",
    ),
    "a subject changed": (lambda entries: _with_row(entries, 5, subject="sha256:x"), r"^run event 2 .*its signature"),
    "a time changed": (lambda entries: _with_row(entries, 5, created_at=5), r"^run event 2 .*its signature"),
}


def test_a_whole_log_holds() -> None:
    """Under its head, and under every head that was kept of it on the way."""
    log = MadeLog()
    kept = [log.head]
    for n in range(4):
        log.change(f"t{n}", runs=("r",))
        kept.append(log.head)

    assert [log.walk(kept=head) for head in kept] == [8] * 5


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_was_done_to_a_log_is_named(name: str) -> None:
    """The entry, and what is wrong with it."""
    tamper, sentence = TAMPERINGS[name]
    log = made_log()
    head = log.head
    log.entries = tamper(log.entries)

    with pytest.raises(BrokenLogError, match=sentence):
        log.walk(head=head)


def test_a_chain_made_new_around_a_change_does_not_hold() -> None:
    """Links need no key; the run event behind the change, and the head at the latest, do."""
    log = made_log()
    head = log.head
    log.entries = _chained_again([*log.entries[:4], *log.entries[5:]])

    with pytest.raises(BadSignatureError, match=r"^run event 2 "):
        log.walk(head=head)

    tail = made_log()
    tail.change("t", "u")
    head = tail.head
    tail.entries = _chained_again(_exchanged(tail.entries, 12, 13))

    with pytest.raises(BrokenHeadError, match="others than were signed"):
        tail.walk(head=head)


def test_a_head_needs_the_nodes_signature() -> None:
    """Whoever cut a log could count what is left, and cannot sign it."""
    log = made_log()
    short = replace(log.head, events=7, run_events=3, entries=10, chain=(log.entries[9].link or b"").hex())
    log.entries = log.entries[:10]

    with pytest.raises(BrokenHeadError, match="its signature is not its node's"):
        log.walk(head=short)
    with pytest.raises(BrokenHeadError, match=f"key {STRANGER.node_id} signed it, expected was {NODE.node_id}"):
        log.walk(head=signed_head(STRANGER, log.tip))


def test_only_a_head_kept_elsewhere_tells_that_a_whole_log_was_rolled_back() -> None:
    """Log and head as they once were are whole in themselves; no check of them alone can say more."""
    log = made_log()
    kept = log.head
    log.change("later")
    later = log.head
    log.entries.pop()

    assert log.walk(head=kept) == 12
    with pytest.raises(RolledBackError, match=r"head of 13 entries was kept: it ends at entry 12; put back"):
        log.walk(head=kept, kept=later)


def test_a_log_that_went_on_otherwise_after_a_roll_back_is_found() -> None:
    """It may be longer than the kept head; its entries up to there are others."""
    log, other = made_log(), made_log()
    log.change("one")
    kept = log.head
    other.change("another", "and", "more")

    assert other.walk() == 15
    with pytest.raises(RolledBackError, match="it has others as its first 13 entries"):
        other.walk(kept=kept)


def test_an_event_outside_the_chain_is_named() -> None:
    """It would take part in its task's life, and nobody appended it."""
    log = made_log()
    walk = Walk(frozenset({NODE.node_id}), head=log.head)
    for entry in log.entries:
        walk.take(entry)

    with pytest.raises(BrokenLogError, match=r"^event 9 \(not chained\)"):
        walk.finish(Stray("event", 9))


@pytest.mark.parametrize("seed", range(200))
def test_no_random_tampering_passes(seed: int) -> None:
    """Without the key: entries lost, doubled, exchanged, flipped, each with and without a chain made new."""
    chance = random.Random(seed)
    log = made_log()
    head, whole = log.head, list(log.entries)
    for _ in range(chance.randint(1, 3)):
        log.entries = _tampered(chance, log.entries)
    if chance.random() < 0.5:
        log.entries = _chained_again(log.entries)

    if log.entries == whole:
        assert log.walk(head=head) == len(whole)
    else:
        with pytest.raises(LogError):
            log.walk(head=head)


def _tampered(chance: random.Random, entries: list[Entry]) -> list[Entry]:
    at, other = chance.randrange(len(entries)), chance.randrange(len(entries))
    match chance.randrange(6):
        case 0:
            return entries[:at] + entries[at + 1 :] or entries[:1]
        case 1:
            return [*entries[:at], entries[at], *entries[at:]]
        case 2:
            return _exchanged(entries, at, other)
        case 3:
            return entries[: at + 1]
        case 4:
            return _changed(entries, at, number=entries[at].number + 1)
        case _:
            return _flipped(chance, entries, at)


def _flipped(chance: random.Random, entries: list[Entry], at: int) -> list[Entry]:
    row = entries[at].event
    name = "body" if isinstance(row, TaskRow) else "payload"
    data = bytearray(getattr(row, name))
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return _with_row(entries, at, **{name: bytes(data)})


def _exchanged(entries: list[Entry], one: int, other: int) -> list[Entry]:
    """Two events in each other's place, under each other's numbers; links stay where they are."""
    if entries[one].source != entries[other].source:
        return entries
    rows = [entries[at].event for at in (one, other)]
    moved = list(entries)
    for at, row in ((one, rows[1]), (other, rows[0])):
        assert row is not None
        moved[at] = replace(entries[at], event=replace(row, number=entries[at].number))
    return moved


def _changed(entries: list[Entry], at: int, **changes: object) -> list[Entry]:
    return [*entries[:at], replace(entries[at], **changes), *entries[at + 1 :]]


def _with_row(entries: list[Entry], at: int, **changes: object) -> list[Entry]:
    row = entries[at].event
    assert row is not None
    return _changed(entries, at, event=replace(row, **changes))


def _chained_again(entries: list[Entry]) -> list[Entry]:
    """Numbered and linked as if nothing had happened; what needs the key stays as it was."""
    link, numbers, again = GENESIS, {"event": 0, "run event": 0}, []
    for place, entry in enumerate(entries, 1):
        numbers[entry.source] += 1
        row = replace(entry.event, number=numbers[entry.source]) if entry.event is not None else None
        if isinstance(row, RunRow):
            unsigned = unsigned_run_event(row, entry=place, after=link, author=NODE.node_id)
            link = linked(link, "run event", run_event_body(unsigned, row.signature_hex))
        elif isinstance(row, TaskRow):
            link = linked(link, "event", row.body)
        again.append(Entry(place, entry.source, numbers[entry.source], row, link))
    return again
