"""Tie resolvers: several values have the most votes, and one of them is chosen, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.conclusion import Voice, confidence_in
from kernel_stub.rules.spec import TiePolicy, TieResolver

#: Sums no further apart than this are equal: 0.1 + 0.2 and 0.3 are a tie.
_EQUAL_WITHIN: Final = 2.0**-52

Trace: TypeAlias = list[dict[str, Json]]


@dataclass(frozen=True, slots=True)
class Tie:
    """The values that lead together in a bucket, sorted, and the voices behind each."""

    run_id: str
    bucket: str
    behind: Mapping[str, Sequence[Voice]]

    def resolve(self, policy: TiePolicy) -> tuple[str | None, Trace]:
        """Walk the chain; the first resolver that finds a winner ends it."""
        trace: Trace = []
        if "TIE" not in policy.enabled_on:
            return None, trace
        for mode in policy.chain:
            winner = self._winner(mode, policy)
            if winner is not None:
                trace.append({"bucket": self.bucket, "mode": mode, "winner": winner})
                return winner, trace
            outcome = "PENDING_REEXPLORE" if mode == "REEXPLORE" else "UNRESOLVED"
            trace.append({"bucket": self.bucket, "mode": mode, "outcome": outcome})
        return None, trace

    def drawn(self) -> str:
        """A draw that nobody can steer and everybody can repeat: a digest of run, bucket and candidates."""
        candidates = list(self.behind)
        seed = f"{self.run_id}:{self.bucket}:{'|'.join(candidates)}"
        digest = hashlib.sha256(seed.encode()).hexdigest()
        return candidates[int(digest[:16], 16) % len(candidates)]

    def _winner(self, mode: TieResolver, policy: TiePolicy) -> str | None:
        match mode:
            case "CONFIDENCE_WEIGHTED":
                return _unique_maximum({name: self._confidence(name, policy) for name in self.behind})
            case "REPUTATION_WEIGHTED":
                return self._most_reputed(policy)
            case "STOCHASTIC":
                return self.drawn()
            case "REEXPLORE":
                return None

    def _confidence(self, name: str, policy: TiePolicy) -> float:
        fields = policy.confidence_weighted
        return sum(confidence_in(voice.conclusion, self.bucket, fields) for voice in self.behind[name])

    def _most_reputed(self, policy: TiePolicy) -> str | None:
        units = policy.reputation_weighted.agent_reputation_units
        uniform = policy.reputation_weighted.missing_reputation == "UNIFORM"
        if not units and not uniform:
            return None
        return _unique_maximum(
            {name: sum(units.get(voice.agent_id, int(uniform)) for voice in self.behind[name]) for name in self.behind}
        )


def _unique_maximum(sums: Mapping[str, float]) -> str | None:
    highest = max(sums.values())
    best = [name for name, total in sums.items() if abs(total - highest) <= _EQUAL_WITHIN]
    return best[0] if len(best) == 1 else None
