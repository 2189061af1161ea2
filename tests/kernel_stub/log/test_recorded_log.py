"""The recorded log of a real kernel: our code verifies it, replays it, and would have written the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from executor_sdk.protocol.digests import hex_digest
from kernel_stub.errors import BadSignatureError, BrokenLogError
from kernel_stub.log.forms import unsigned_bytes
from kernel_stub.log.growth import signed
from kernel_stub.rules.records import EventDraft
from kernel_stub.rules.task import (
    Claim,
    Command,
    ConfirmEvidence,
    Create,
    Decide,
    Judge,
    Propose,
    Vote,
    decide,
)
from kernel_stub.rules.taskstate import TaskState, evolve
from tests.kernel_stub.log.recorded import EVENTS, IDENTITY, LINES, replayed, verified_lines

_KINDS: Final = frozenset(event["event_kind"] for event in EVENTS)


def test_every_recorded_event_verifies() -> None:
    """Each hash and each signature is recomputed."""
    assert verified_lines(LINES) == len(LINES) == 44


def test_every_recorded_event_keeps_the_rules_of_a_tasks_life() -> None:
    """The replay knows which tasks came to a final candidate."""
    replay = replayed(LINES)

    assert replay.finalized() == 3
    assert len(replay.tasks) == 5


@pytest.mark.parametrize("seq", range(len(LINES)))
def test_the_bytes_of_an_event_do_not_depend_on_how_it_was_encoded(seq: int) -> None:
    """A store or gateway that sorts keys does not break what was signed."""
    shuffled = json.loads(json.dumps(EVENTS[seq], sort_keys=True))

    assert hex_digest(unsigned_bytes(shuffled)) == EVENTS[seq]["event_id"]


@pytest.mark.parametrize("seq", range(len(LINES)))
def test_a_flipped_bit_is_found_and_its_event_named(seq: int) -> None:
    """Anywhere in the middle of an event: content, hash or signature."""
    for position in (20, len(LINES[seq]) // 2, len(LINES[seq]) - 20):
        flipped = bytearray(LINES[seq])
        flipped[position] ^= 1
        log = [*LINES[:seq], bytes(flipped), *LINES[seq + 1 :]]

        with pytest.raises(BrokenLogError) as caught:
            verified_lines(log)

        assert caught.value.seq == seq + 1


def test_an_event_signed_by_somebody_else_is_a_bad_signature() -> None:
    """The hash may hold: whoever rewrites an event can recompute it, but cannot sign for the author."""
    other = json.loads(LINES[1])
    other["signature_hex"] = json.loads(LINES[2])["signature_hex"]

    with pytest.raises(BadSignatureError) as caught:
        verified_lines([LINES[0], json.dumps(other).encode()])

    assert "TASK_CLAIMED of run-analysis-run-001-analyst-b-2" in str(caught.value)


def test_our_events_for_the_recorded_inputs_are_the_recorded_bytes() -> None:
    """Every kind that a task's life has, decided by our rules and signed with the recorded key."""
    states: dict[str, TaskState] = {}
    written: list[bytes] = []
    for event in EVENTS:
        if event["task_id"] is None:
            continue
        payload, task_id = event["payload"]["payload"], event["task_id"]
        state = states.get(task_id, TaskState())
        drafts = decide(state, [_command(event["event_kind"], payload)], IDENTITY, event["created_at"])
        draft = next(draft for draft in drafts if draft.kind == event["event_kind"])
        written.append(signed(IDENTITY, draft, 1).body)
        facts: dict[str, Any] = {"author": event["author_node_id"], "created_at": event["created_at"]}
        states[task_id] = evolve(state, event["event_kind"], payload, **facts)

    assert written == [line for line, event in zip(LINES, EVENTS, strict=True) if event["task_id"] is not None]


def test_a_signed_draft_is_what_the_parsed_event_says() -> None:
    """The body is put together from its encoded parts; it must still be the JSON of the whole."""
    draft = EventDraft("TASK_CLAIMED", 'quo"te', {"task_id": 'quo"te', "role": "propose", "execution_id": "ü"}, 5)

    event = json.loads(signed(IDENTITY, draft, 1).body)

    assert next(iter(event)) == "event_id"
    assert list(event)[-1] == "signature_hex"
    assert event["task_id"] == 'quo"te'
    assert verified_lines([signed(IDENTITY, replace(draft, created_at=6), 1).body]) == 1


def _command(kind: str, payload: dict[str, Any]) -> Command:  # noqa: PLR0911 - one line a kind
    """The command that makes an event of this kind, from what the event says."""
    assert kind in _KINDS
    ids = {name: payload.get(name, "") for name in ("candidate_id", "execution_id")}
    match kind:
        case "TASK_CREATED":
            return Create(payload)
        case "TASK_CLAIMED":
            return Claim(payload["role"], payload["execution_id"])
        case "CANDIDATE_PROPOSED":
            return Propose(payload["candidate"])
        case "EVIDENCE_AVAILABLE":
            return ConfirmEvidence(**ids)
        case "VERIFIER_RESULT_SUBMITTED":
            result = payload["result"]
            return Judge(result["candidate_id"], result["execution_id"], result["verification_status"], result)
        case "VOTE_COMMIT" | "VOTE_REVEAL":
            return Vote(**ids, salt=_salt(payload))
        case _:
            return Decide(payload["candidate_id"])


def _salt(payload: dict[str, Any]) -> str:
    """The salt of a vote is told when it is revealed."""
    return next(
        str(event["payload"]["payload"]["salt"])
        for event in EVENTS
        if event["event_kind"] == "VOTE_REVEAL"
        and event["payload"]["payload"]["candidate_id"] == payload["candidate_id"]
    )


def test_the_recorded_log_is_where_it_was_copied_to() -> None:
    """Its origin stands beside it."""
    origin = Path(__file__).parents[2] / "data" / "signed_events.origin.txt"

    assert "wattetheria/wattswarm at fafc797" in origin.read_text(encoding="utf-8")
