"""What a task is: the fold of its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from executor_sdk.protocol.plain import Json

#: The epoch of a task that is done once.
EPOCH: Final = 1

#: Which of a contract's stage budgets an event is paid from, one unit each.
STAGE_OF: Final[Mapping[str, str]] = {
    "CANDIDATE_PROPOSED": "explore",
    "EVIDENCE_ADDED": "explore",
    "EVIDENCE_AVAILABLE": "verify",
    "VERIFIER_RESULT_SUBMITTED": "verify",
    "VOTE_COMMIT": "verify",
    "VOTE_REVEAL": "verify",
    "DECISION_COMMITTED": "finalize",
    "DECISION_FINALIZED": "finalize",
    "TASK_EXPIRED": "finalize",
}

#: What an event of this kind makes of a task for good.
_TERMINAL: Final[Mapping[str, str]] = {
    "DECISION_FINALIZED": "Finalized",
    "TASK_EXPIRED": "Expired",
    "TASK_STOPPED": "Stopped",
    "TASK_SUSPENDED": "Suspended",
    "TASK_KILLED": "Killed",
}


class CommittedVote(msgspec.Struct, frozen=True):
    """A committed vote: its hash, what it is about, and when it was committed."""

    commit_hash: str
    candidate_hash: str
    verifier_result_hash: str
    committed_at: int


class TaskState(msgspec.Struct, frozen=True):
    """One task; without a contract it does not exist yet."""

    task_id: str = ""
    contract: dict[str, Json] = msgspec.field(default_factory=dict)
    created_at: int = 0
    #: `Open`, or how it ended, by the API's names.
    terminal_state: str = "Open"
    #: (role, execution id) → the node that claimed it.
    claims: Mapping[tuple[str, str], str] = msgspec.field(default_factory=dict)
    candidates: Mapping[str, dict[str, Json]] = msgspec.field(default_factory=dict)
    #: (candidate id, verifier's execution id) → the verdict.
    results: Mapping[tuple[str, str], dict[str, Json]] = msgspec.field(default_factory=dict)
    #: (candidate id, digest) → the executions that confirmed it.
    confirmed: Mapping[tuple[str, str], frozenset[str]] = msgspec.field(default_factory=dict)
    #: (candidate id, verifier's execution id) → the committed vote.
    ballots: Mapping[tuple[str, str], CommittedVote] = msgspec.field(default_factory=dict)
    #: (candidate id, verifier's execution id) → the revealed vote.
    votes: Mapping[tuple[str, str], str] = msgspec.field(default_factory=dict)
    committed: str | None = None
    finalized: str | None = None
    spent: Mapping[str, int] = msgspec.field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether the task was created."""
        return bool(self.task_id)

    def approvals(self, candidate_id: str) -> int:
        """How many revealed votes approve the candidate."""
        return sum(vote == "approve" and voted == candidate_id for (voted, _), vote in self.votes.items())


def evolve(state: TaskState, kind: str, payload: dict[str, Json], *, author: str, created_at: int) -> TaskState:
    """The task after one more event; kinds that do not touch it leave it as it is."""
    if kind == "TASK_CREATED":
        return TaskState(task_id=payload["task_id"], contract=payload, created_at=created_at)
    changes = _changes(state, kind, payload, author, created_at)
    if (stage := STAGE_OF.get(kind)) is not None:
        changes["spent"] = {**state.spent, stage: state.spent.get(stage, 0) + 1}
    if (terminal := _TERMINAL.get(kind)) is not None:
        changes["terminal_state"] = terminal
    return replace(state, **changes)


def _changes(state: TaskState, kind: str, payload: dict[str, Json], author: str, created_at: int) -> dict[str, Any]:
    """The fields that an event of this kind sets."""
    changes: dict[str, Any] = {}
    match kind:
        case "TASK_CLAIMED":
            changes["claims"] = {**state.claims, (payload["role"], payload["execution_id"]): author}
        case "CANDIDATE_PROPOSED":
            candidate = payload["candidate"]
            changes["candidates"] = {**state.candidates, candidate["candidate_id"]: candidate}
        case "EVIDENCE_AVAILABLE":
            digest = (payload["candidate_id"], payload["evidence_digest"])
            seen = state.confirmed.get(digest, frozenset()) | {payload["execution_id"]}
            changes["confirmed"] = {**state.confirmed, digest: seen}
        case "VERIFIER_RESULT_SUBMITTED":
            result = payload["result"]
            changes["results"] = {**state.results, _voter(result): result}
        case "VOTE_COMMIT":
            changes["ballots"] = {**state.ballots, _voter(payload): _ballot(payload, created_at)}
        case "VOTE_REVEAL":
            changes["votes"] = {**state.votes, _voter(payload): payload["vote"]}
        case "DECISION_COMMITTED":
            changes["committed"] = payload["candidate_id"]
        case "DECISION_FINALIZED":
            changes["finalized"] = payload["candidate_id"]
    return changes


def _voter(payload: dict[str, Json]) -> tuple[str, str]:
    return payload["candidate_id"], payload["execution_id"]


def _ballot(payload: dict[str, Json], created_at: int) -> CommittedVote:
    return CommittedVote(payload["commit_hash"], payload["candidate_hash"], payload["verifier_result_hash"], created_at)
