"""The two questions that every step answers, and what the votes on each come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.conclusion import Voice, vote_in
from kernel_stub.rules.aggregation.tie import Tie, Trace
from kernel_stub.rules.records import StepStatus
from kernel_stub.rules.spec import Aggregation, NullPolicy, OpenEnd

Path: TypeAlias = Literal["WINNER_PATH", "TIE_PATH", "NULL_PATH"]

BUCKETS: Final = ("decision", "answer")


@dataclass(frozen=True, slots=True)
class Ballot:
    """One bucket, counted: its votes by value, the path they lead to, the value if any, and how it came about."""

    bucket: str
    votes: Mapping[str, int]
    path: Path
    value: str | None
    null_kind: str | None = None
    null_reason: str | None = None
    tie_trace: Sequence[dict[str, Json]] = ()
    null_trace: Sequence[dict[str, Json]] = ()


def count(run_id: str, bucket: str, policy: Aggregation, voices: Sequence[Voice], heard: Sequence[Voice]) -> Ballot:
    """Count the votes of those `heard` in a bucket and follow the path they lead to."""
    voters = _by_vote(heard, bucket)
    votes = {value: len(voters[value]) for value in sorted(voters)}
    highest = max(votes.values(), default=0)
    if highest == 0 or highest < (policy.quorum or 0):
        all_succeeded = all(voice.step.status is StepStatus.SUCCEEDED for voice in voices)
        return _without_value(bucket, policy, votes, all_succeeded=all_succeeded)
    leaders = [value for value, number in votes.items() if number == highest]
    if len(leaders) == 1:
        return Ballot(bucket, votes, "WINNER_PATH", leaders[0])
    # As in the kernel, resolvers weigh every voice behind a leader, also those that the count did not hear.
    everyone = _by_vote(voices, bucket)
    value, trace = Tie(run_id, bucket, {leader: everyone[leader] for leader in leaders}).resolve(policy.tie_policy)
    return Ballot(bucket, votes, "TIE_PATH", value, tie_trace=trace)


def _without_value(bucket: str, policy: Aggregation, votes: Mapping[str, int], *, all_succeeded: bool) -> Ballot:
    kind: OpenEnd = "QUORUM_NULL" if votes else "EMPTY"
    missing = "NO_VALID_DECISION" if all_succeeded else "EXECUTION_INCOMPLETE_OR_FAILED"
    reason = "VALID_VOTES_BELOW_QUORUM" if votes else missing
    trace = _null_trace(bucket, kind, policy.null_policy)
    return Ballot(bucket, votes, "NULL_PATH", None, null_kind=kind, null_reason=reason, null_trace=trace)


def _null_trace(bucket: str, kind: OpenEnd, policy: NullPolicy) -> Trace:
    """What the chain did with a bucket without a value; finalizing as null ends it."""
    if kind not in policy.enabled_on:
        return [{"bucket": bucket, "mode": "NULL_POLICY", "outcome": "DISABLED"}]
    trace: Trace = []
    for mode in policy.chain:
        outcome = "PENDING_REEXPLORE" if mode == "REEXPLORE" else "FINALIZED_NULL"
        trace.append({"bucket": bucket, "mode": mode, "outcome": outcome})
        if mode == "FINALIZE_NULL":
            break
    return trace


def _by_vote(voices: Sequence[Voice], bucket: str) -> dict[str, list[Voice]]:
    voters: dict[str, list[Voice]] = {}
    for voice in voices:
        vote = vote_in(voice.conclusion, bucket)
        if vote is not None:
            voters.setdefault(vote, []).append(voice)
    return voters
