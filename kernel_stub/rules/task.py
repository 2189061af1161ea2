"""The life of a task: what each command appends to the log, and what each event makes of the task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from executor_sdk.protocol.digests import candidate_hash, vote_commit_hash
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import INCONCLUSIVE, ReasonCode
from kernel_stub.errors import InvalidEventError
from kernel_stub.rules.append import breach
from kernel_stub.rules.records import EventDraft
from kernel_stub.rules.taskstate import EPOCH, TaskState, evolve

#: Fields of a verdict in the log; `policy_*` are the contract's binding.
_VERDICT_FIELDS: Final = (
    "passed",
    "score",
    "reason_codes",
    "verifier_result_hash",
    "provider_family",
    "model_id",
)


_EVIDENCE_TROUBLE: Final = INCONCLUSIVE | {ReasonCode.EVIDENCE_DIGEST_MISMATCH}


class Signer(Protocol):
    """The node that acts. Signing is pure: the same message always gives the same signature."""

    node_id: str

    def sign(self, message: bytes) -> str: ...


@dataclass(frozen=True, slots=True)
class Create:
    """There is something to be done."""

    contract: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Claim:
    """This node will do it (`role` "propose"), or judge what was done ("verify")."""

    role: str
    execution_id: str


@dataclass(frozen=True, slots=True)
class Propose:
    """Here is what was done."""

    candidate: dict[str, Json]


@dataclass(frozen=True, slots=True)
class ConfirmEvidence:
    """The cited evidence could be looked at."""

    candidate_id: str
    execution_id: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Here is the verdict, `verification_status` and the fields of a verify answer."""

    candidate_id: str
    execution_id: str
    verification_status: str
    verdict: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Vote:
    """Commit to a vote on a judged candidate, and reveal it."""

    candidate_id: str
    execution_id: str
    salt: str


@dataclass(frozen=True, slots=True)
class Decide:
    """Enough votes agree: commit to the candidate, and make it final."""

    candidate_id: str


Command: TypeAlias = Create | Claim | Propose | ConfirmEvidence | Judge | Vote | Decide


def decide(state: TaskState, commands: Iterable[Command], signer: Signer, now_ms: int) -> tuple[EventDraft, ...]:
    """The events that commands append to a task, each upon what the ones before it made of the task.

    Raises:
        InvalidEventError: one of them would break a rule of the task's life; nothing may be appended.
    """
    appended: list[EventDraft] = []
    for command in commands:
        for kind, payload in _payloads(state, command, signer):
            if (reason := breach(state, kind, payload, author=signer.node_id, created_at=now_ms)) is not None:
                raise InvalidEventError(reason)
            state = evolve(state, kind, payload, author=signer.node_id, created_at=now_ms)
            appended.append(EventDraft(kind, payload["task_id"], payload, now_ms))
    return tuple(appended)


def fold(events: Iterable[Json]) -> TaskState:
    """The task that these events of it made, oldest first."""
    state = TaskState()
    for event in events:
        payload = event["payload"]["payload"]
        state = evolve(
            state, event["event_kind"], payload, author=event["author_node_id"], created_at=event["created_at"]
        )
    return state


def life_of_a_verdict(
    state: TaskState, *, candidate_id: str, execution_id: str, status: str, verdict: dict[str, Json], salt: str
) -> Sequence[Command]:
    """The commands that settle a judged candidate: a passed one is voted for and made final."""
    judged = Judge(candidate_id, execution_id, status, verdict)
    # What could not be fetched, or was not what was cited, is not confirmed as available.
    if not _EVIDENCE_TROUBLE.isdisjoint(verdict["reason_codes"]):
        return (judged,)
    confirmed = ConfirmEvidence(candidate_id, execution_id)
    if status != "passed":
        return (confirmed, judged)
    return (confirmed, judged, Vote(candidate_id, execution_id, salt), Decide(candidate_id))


def _payloads(state: TaskState, command: Command, signer: Signer) -> Sequence[tuple[str, dict[str, Json]]]:
    events: Sequence[tuple[str, dict[str, Json]]]
    match command:
        case Create(contract):
            events = [("TASK_CREATED", contract)]
        case Claim():
            events = [("TASK_CLAIMED", _claimed(state, command, signer))]
        case Propose(candidate):
            events = [("CANDIDATE_PROPOSED", {"task_id": state.task_id, "candidate": candidate})]
        case ConfirmEvidence():
            events = [("EVIDENCE_AVAILABLE", payload) for payload in _confirmed(state, command)]
        case Judge():
            events = [("VERIFIER_RESULT_SUBMITTED", {"task_id": state.task_id, "result": _result(state, command)})]
        case Vote():
            events = _voted(state, command)
        case Decide(candidate_id):
            events = _decided(state, candidate_id, signer)
    return events


def _claimed(state: TaskState, command: Claim, signer: Signer) -> dict[str, Json]:
    # Recorded: both claims of a task run out together, counted from its creation.
    lease_ms: int = state.contract["assignment"]["claim"]["lease_ms"]
    return {
        "task_id": state.task_id,
        "role": command.role,
        "claimer_node_id": signer.node_id,
        "execution_id": command.execution_id,
        "lease_until": state.created_at + lease_ms,
    }


def _confirmed(state: TaskState, command: ConfirmEvidence) -> Iterable[dict[str, Json]]:
    candidate = state.candidates[command.candidate_id]
    digests = dict.fromkeys(ref["digest"] for ref in candidate["evidence_refs"])
    for digest in digests:
        yield {
            "task_id": state.task_id,
            "candidate_id": command.candidate_id,
            "execution_id": command.execution_id,
            "evidence_digest": digest,
        }


def _result(state: TaskState, command: Judge) -> dict[str, Json]:
    policy = state.contract["acceptance"]["verifier_policy"]
    verdict = {field: command.verdict[field] for field in _VERDICT_FIELDS}
    return {
        "candidate_id": command.candidate_id,
        "execution_id": command.execution_id,
        "verification_status": command.verification_status,
        **verdict,
        "score": float(verdict["score"]),
        "policy_id": policy["policy_id"],
        "policy_version": policy["policy_version"],
        "policy_hash": policy["policy_hash"],
    }


def _voted(state: TaskState, command: Vote) -> Sequence[tuple[str, dict[str, Json]]]:
    result = state.results[command.candidate_id, command.execution_id]
    vote = "approve" if result["passed"] else "reject"
    ballot = {
        "task_id": state.task_id,
        "candidate_id": command.candidate_id,
        "candidate_hash": candidate_hash(state.candidates[command.candidate_id]),
        "execution_id": command.execution_id,
        "verifier_result_hash": result["verifier_result_hash"],
    }
    commit_hash = vote_commit_hash(vote, command.salt, result["verifier_result_hash"])
    return [
        ("VOTE_COMMIT", {**ballot, "commit_hash": commit_hash}),
        ("VOTE_REVEAL", {**ballot, "vote": vote, "salt": command.salt}),
    ]


def _decided(state: TaskState, candidate_id: str, signer: Signer) -> Sequence[tuple[str, dict[str, Json]]]:
    winner = candidate_hash(state.candidates[candidate_id])
    decided = {"task_id": state.task_id, "epoch": EPOCH, "candidate_id": candidate_id}
    signature = signer.sign(finality_message(state.task_id, EPOCH, candidate_id))
    proof = {"threshold": 1, "signatures": [{"signer_node_id": signer.node_id, "signature_hex": signature}]}
    return [
        ("DECISION_COMMITTED", {**decided, "candidate_hash": winner}),
        ("DECISION_FINALIZED", {**decided, "winning_candidate_hash": winner, "finality_proof": proof}),
    ]


def finality_message(task_id: str, epoch: int, candidate_id: str) -> bytes:
    """What the signatures of a finality proof sign."""
    return f"{task_id}:{epoch}:{candidate_id}".encode()
