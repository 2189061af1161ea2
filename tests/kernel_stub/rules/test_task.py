"""The rules of a task's life: what may be appended after what, and by whom."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

from executor_sdk.policies.verdicts import verdict_answer
from executor_sdk.protocol.digests import evidence_ref
from executor_sdk.protocol.requests import SCHEMA_ONLY_HASH, candidate, sample_contract
from kernel_stub.errors import InvalidEventError
from kernel_stub.log.identity import Identity
from kernel_stub.rules.append import breach
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
    life_of_a_verdict,
)
from kernel_stub.rules.taskstate import TaskState, evolve

NODE: Final = Identity(b"1" * 32)
OTHER: Final = Identity(b"2" * 32)
NOW: Final = 1_000
REF: Final = evidence_ref(b"data", uri="u", mime="text/csv", created_at=1, producer="p")
CONTRACT: Final = sample_contract(task_id="t", task_type="swarm", inputs={}, expiry_ms=2_000)
CANDIDATE: Final = candidate(execution_id="p", output={"answer": "x"}, output_ref=REF, evidence_refs=[REF])
ID: Final = CANDIDATE["candidate_id"]
VERDICT: Final = verdict_answer(
    status="passed",
    score=1.0,
    reason_codes=[100],
    candidate_id=ID,
    execution_id="p",
    policy_hash=SCHEMA_ONLY_HASH,
    provider_family="f",
    model_id="m",
)
LIFE: Final[tuple[Command, ...]] = (
    Create(CONTRACT),
    Claim("propose", "p"),
    Propose(CANDIDATE),
    Claim("verify", "v"),
    ConfirmEvidence(ID, "v"),
    Judge(ID, "v", "passed", VERDICT),
    Vote(ID, "v", "salt"),
    Decide(ID),
)


def grown(commands: tuple[Command, ...]) -> TaskState:
    """The task after these commands."""
    return folded(decide(TaskState(), commands, NODE, NOW))


def folded(drafts: tuple[EventDraft, ...], author: str = NODE.node_id) -> TaskState:
    """The task that these drafts make."""
    state = TaskState()
    for draft in drafts:
        state = evolve(state, draft.kind, draft.payload, author=author, created_at=draft.created_at)
    return state


def test_a_whole_life_ends_with_a_final_candidate() -> None:
    """Ten events, in the kernel's order."""
    state = grown(LIFE)

    assert (state.terminal_state, state.committed, state.finalized) == ("Finalized", ID, ID)
    assert state.spent == {"explore": 1, "verify": 4, "finalize": 2}


def test_nothing_follows_the_end() -> None:
    """Not even the same again."""
    for command in LIFE[1:]:
        with pytest.raises(InvalidEventError, match="invalid event: task is finalized"):
            decide(grown(LIFE), [command], NODE, NOW)
    with pytest.raises(InvalidEventError, match="task already exists"):
        decide(grown(LIFE), [LIFE[0]], NODE, NOW)


@pytest.mark.parametrize("missing", range(len(LIFE) - 1))
def test_no_part_of_a_life_can_be_left_out(missing: int) -> None:
    """Whatever builds on it is refused."""
    with pytest.raises((InvalidEventError, LookupError)):
        decide(TaskState(), LIFE[:missing] + LIFE[missing + 1 :], NODE, NOW)


@pytest.mark.parametrize(
    "position", [n for n, command in enumerate(LIFE) if not isinstance(command, (Create, Claim, Decide))]
)
def test_another_node_cannot_go_on_with_what_it_did_not_claim(position: int) -> None:
    """It may claim for itself; a decision needs votes, not a claim."""
    state = grown(LIFE[:position])

    with pytest.raises(InvalidEventError, match="author holds no"):
        decide(state, [LIFE[position]], OTHER, NOW)


def test_one_execution_proposes_one_candidate() -> None:
    """The same again is the same; another one is refused."""
    state = grown(LIFE[:3])
    other = {**CANDIDATE, "evidence_refs": []}

    assert len(decide(state, [Propose(CANDIDATE)], NODE, NOW)) == 1
    with pytest.raises(InvalidEventError, match="idempotency violation"):
        decide(state, [Propose(other)], NODE, NOW)


def test_a_vote_is_revealed_in_time_and_as_committed() -> None:
    """Its hash binds vote and salt."""
    state = grown(LIFE[:6])
    commit, reveal = decide(state, [LIFE[6]], NODE, NOW)
    state = evolve(state, commit.kind, commit.payload, author=NODE.node_id, created_at=NOW)

    def told(created_at: int = NOW, **changes: Any) -> str | None:
        payload = {**reveal.payload, **changes}
        return breach(state, "VOTE_REVEAL", payload, author=NODE.node_id, created_at=created_at)

    assert told() is None
    assert told(salt="other") == "revealed vote does not match its commit"
    assert told(vote="reject") == "revealed vote does not match its commit"
    assert told(candidate_hash="0") == "revealed vote is about something else than the committed one"
    assert told(created_at=NOW + 10_001) == "vote was revealed too late"


def test_evidence_must_be_confirmed_before_a_decision_is_final() -> None:
    """A digest that the candidate does not cite confirms nothing."""
    without = tuple(command for command in LIFE if not isinstance(command, ConfirmEvidence))
    with pytest.raises(InvalidEventError, match="is not confirmed often enough"):
        decide(TaskState(), without, NODE, NOW)

    payload = {"task_id": "t", "candidate_id": ID, "execution_id": "v", "evidence_digest": "sha256:0"}
    found = breach(grown(LIFE[:4]), "EVIDENCE_AVAILABLE", payload, author=NODE.node_id, created_at=NOW)
    assert found == "candidate cites no such evidence"


def test_a_stage_cannot_spend_more_than_its_budget() -> None:
    """One unit an event; the sentence names the stage."""
    state = replace(grown(LIFE[:2]), spent={"explore": 350})

    with pytest.raises(InvalidEventError, match=r"^invalid event: explore budget exhausted for task t epoch 1$"):
        decide(state, [Propose(CANDIDATE)], NODE, NOW)


@pytest.mark.parametrize(
    ("status", "codes", "kinds"),
    [
        ("failed", [101], ["EVIDENCE_AVAILABLE", "VERIFIER_RESULT_SUBMITTED"]),
        ("failed", [203], ["VERIFIER_RESULT_SUBMITTED"]),
        ("inconclusive", [200], ["VERIFIER_RESULT_SUBMITTED"]),
    ],
)
def test_a_verdict_that_is_not_passed_is_kept_and_not_voted_for(
    status: str, codes: list[int], kinds: list[str]
) -> None:
    """Evidence that could not be had, or was not what was cited, is not called available."""
    state = grown(LIFE[:4])
    verdict = {**VERDICT, "passed": False, "reason_codes": codes}

    commands = life_of_a_verdict(state, candidate_id=ID, execution_id="v", status=status, verdict=verdict, salt="salt")

    assert [draft.kind for draft in decide(state, commands, NODE, NOW)] == kinds


def test_both_claims_run_out_with_the_lease_of_the_contract() -> None:
    """Recorded: counted from the task's creation, for the verifier too."""
    drafts = decide(TaskState(), LIFE[:3], NODE, NOW)
    [later] = decide(folded(drafts), [LIFE[3]], NODE, NOW + 500)

    assert drafts[1].payload["lease_until"] == later.payload["lease_until"] == NOW + 5_000
