"""Re-exploring: whether another round is worth it, what it is told, and what it leaves for the round after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.conclusion import Voice
from kernel_stub.rules.records import RunEvent
from kernel_stub.rules.spec import Reexplore

Kind: TypeAlias = Literal["tie", "null"]

EVENT_TYPES: Final[Mapping[Kind, str]] = {
    "tie": "RUN_TIE_REEXPLORE_TRIGGERED",
    "null": "RUN_NULL_REEXPLORE_TRIGGERED",
}

#: Key of the shared inputs under which agents are told what the next round needs.
SIGNAL_KEY: Final = "_aggregation_signal"


@dataclass(frozen=True, slots=True)
class Rounds:
    """Where a run stands with its re-explore rounds of one kind, seen from the round that just ended."""

    kind: Kind
    policy: Reexplore
    #: Rounds of this kind so far.
    iteration: int
    #: Rounds in a row in which nobody brought anything new.
    barren: int
    #: Agents that brought nothing which they had not brought in the last round of this kind; sorted.
    missing: Sequence[str]

    @property
    def allowed(self) -> bool:
        """Whether the budget has another round."""
        return self.iteration < self.policy.max_tie_iterations and self.barren <= self.policy.no_new_evidence_rounds

    def facts(self, unresolved: Sequence[str]) -> dict[str, Json]:
        """As the aggregation shows it."""
        return {
            f"{self.kind}_iteration": self.iteration,
            f"next_{self.kind}_iteration": self.iteration + 1,
            "max_tie_iterations": self.policy.max_tie_iterations,
            "no_new_evidence_rounds": self.barren,
            "require_new_evidence": self.policy.require_new_evidence,
            "missing_new_evidence_agents": list(self.missing),
            "allow_reexplore": self.allowed,
            "unresolved_buckets": list(unresolved),
        }

    def memory(self, unresolved: Sequence[str], evidence: Mapping[str, Sequence[str]]) -> dict[str, Json]:
        """What the event of this round keeps: the next round reads its state from it."""
        return {
            f"{self.kind}_iteration": self.iteration + 1,
            "no_new_evidence_rounds": self.barren,
            "require_new_evidence": self.policy.require_new_evidence,
            "missing_new_evidence_agents": list(self.missing),
            "evidence_by_agent": {agent: list(digests) for agent, digests in evidence.items()},
            "unresolved_buckets": list(unresolved),
        }


def rounds_of(kind: Kind, policy: Reexplore, past: Sequence[RunEvent], evidence: Mapping[str, Sequence[str]]) -> Rounds:
    """Read where the run stands from its earlier events of this kind, oldest first."""
    earlier = [event.payload for event in past if event.event_type == EVENT_TYPES[kind]]
    if not earlier:
        missing = [agent for agent, digests in evidence.items() if not digests]
        return Rounds(kind, policy, 0, 0, missing)
    last = earlier[-1]["reexplore"]
    known = last["evidence_by_agent"]
    missing = [agent for agent, digests in evidence.items() if not set(digests) - set(known.get(agent, ()))]
    barren = last["no_new_evidence_rounds"] + 1 if len(missing) == len(evidence) else 0
    return Rounds(kind, policy, len(earlier), barren, missing)


def evidence_by_agent(voices: Sequence[Voice]) -> dict[str, tuple[str, ...]]:
    """The digests that each agent brought, agents sorted."""
    return {voice.agent_id: voice.evidence for voice in sorted(voices, key=lambda voice: voice.agent_id)}


def heard(voices: Sequence[Voice], kinds: Iterable[Rounds]) -> Sequence[Voice]:
    """Whose vote counts: in a later round that requires new evidence, who brought some; all if nobody did."""
    for rounds in kinds:
        if rounds.iteration and rounds.policy.require_new_evidence:
            missing = set(rounds.missing)
            with_new = [voice for voice in voices if voice.agent_id not in missing]
            if with_new:
                return with_new
    return voices
