"""One round, counted: the votes of both buckets, and where the run stands with its re-explore rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kernel_stub.rules.aggregation.buckets import BUCKETS, Ballot, Path, count
from kernel_stub.rules.aggregation.conclusion import Voice, voices_of
from kernel_stub.rules.aggregation.reexplore import Kind, Rounds, evidence_by_agent, heard, rounds_of
from kernel_stub.rules.records import Run, RunEvent, Step
from kernel_stub.rules.spec import Aggregation, NullPolicy, TiePolicy, aggregation_of

#: The kinds of rounds, the one that goes first before the other, and the path that leads to each.
PATHS: Final[Mapping[Kind, Path]] = {"tie": "TIE_PATH", "null": "NULL_PATH"}


@dataclass(frozen=True, slots=True)
class Round:
    """Everything that a decision and its documents are made of."""

    run: Run
    policy: Aggregation
    voices: Sequence[Voice]
    #: Those whose votes were counted.
    heard: Sequence[Voice]
    evidence: Mapping[str, Sequence[str]]
    ballots: Mapping[str, Ballot]
    rounds: Mapping[Kind, Rounds]

    def on_path(self, path: Path) -> list[Ballot]:
        """The ballots on a path, decision before answer."""
        return [ballot for ballot in self.ballots.values() if ballot.path == path]

    def unresolved(self, kind: Kind) -> list[str]:
        """The buckets on a kind's path. A tie that a later resolver broke is still one."""
        return [ballot.bucket for ballot in self.on_path(PATHS[kind])]

    def wants(self, kind: Kind) -> bool:
        """Whether some bucket asks for another round of this kind, its policy knows how, and the budget has one."""
        policy = policy_for(self.policy, kind)
        enabled = any((ballot.null_kind or "TIE") in policy.enabled_on for ballot in self.on_path(PATHS[kind]))
        return enabled and "REEXPLORE" in policy.chain and self.rounds[kind].allowed


def counted(run: Run, steps: Sequence[Step], past: Sequence[RunEvent]) -> Round:
    """Count a round whose steps have all ended; `past` are the run's earlier re-explore events, oldest first."""
    policy = aggregation_of(run)
    voices = voices_of(steps)
    evidence = evidence_by_agent(voices)
    rounds = {kind: rounds_of(kind, policy_for(policy, kind).reexplore, past, evidence) for kind in PATHS}
    voting = heard(voices, rounds.values())
    ballots = {bucket: count(run.run_id, bucket, policy, voices, voting) for bucket in BUCKETS}
    return Round(run, policy, voices, voting, evidence, ballots, rounds)


def policy_for(policy: Aggregation, kind: Kind) -> TiePolicy | NullPolicy:
    """What the specification says of buckets on this kind's path."""
    return policy.tie_policy if kind == "tie" else policy.null_policy
