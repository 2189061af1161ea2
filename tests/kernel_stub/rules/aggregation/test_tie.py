"""Several values lead together."""

from __future__ import annotations

import hashlib

import pytest

from executor_sdk.protocol.plain import Json
from tests.kernel_stub.rules.playing import Played, make_spec


def _tied(chain: list[str], **policy: Json) -> Played:
    """Agents a and b of the run disagree, c abstains; both buckets are the same."""
    played = Played.of(make_spec(aggregation={"tie_policy": {"chain": chain, **policy}}))
    played.say("c")
    return played


def _ended(played: Played) -> tuple[Json, Json]:
    played.finish()
    aggregation = played.run.result["aggregation"]
    trace = [entry for entry in aggregation["tie_policy"]["trace"] if entry["bucket"] == "answer"]
    return aggregation["final_answer"], trace


def test_the_most_confident_side_wins() -> None:
    """The sums of the confidences decide."""
    played = _tied(["CONFIDENCE_WEIGHTED"])
    played.say("a", decision="go", answer="go", confidence=0.6)
    played.say("b", decision="stop", answer="stop", confidence=0.5)

    assert _ended(played) == ("GO", [{"bucket": "answer", "mode": "CONFIDENCE_WEIGHTED", "winner": "GO"}])


def test_sums_that_differ_only_by_rounding_are_equal() -> None:
    """0.1 + 0.2 against 0.3 + 0 is no victory."""
    agents = [{"agent_id": name, "executor": "rt", "prompt": "p"} for name in "abcd"]
    played = Played.of(make_spec(agents=agents, aggregation={"tie_policy": {"chain": ["CONFIDENCE_WEIGHTED"]}}))
    for agent, answer, confidence in (("a", "x", 0.1), ("b", "x", 0.2), ("c", "y", 0.3), ("d", "y", 0)):
        played.say(agent, decision=answer, answer=answer, confidence=confidence)

    assert _ended(played) == (None, [{"bucket": "answer", "mode": "CONFIDENCE_WEIGHTED", "outcome": "UNRESOLVED"}])


@pytest.mark.parametrize(
    ("units", "missing", "winner"),
    [
        ({"a": 10, "b": 3}, "SKIP", "GO"),
        ({"b": 3}, "SKIP", "STOP"),
        ({"a": -5}, "SKIP", "STOP"),
        ({}, "SKIP", None),
        ({"stranger": 9}, "SKIP", None),
        ({}, "UNIFORM", None),
        ({"a": 2}, "UNIFORM", "GO"),
        ({"a": 2**63 - 1, "b": 2**63 - 2}, "SKIP", "GO"),
    ],
)
def test_the_most_reputed_side_wins(units: dict[str, int], missing: str, winner: str | None) -> None:
    """Who has no units is left out, or counts one under `UNIFORM`."""
    reputation = {"agent_reputation_units": units, "missing_reputation": missing}
    played = _tied(["REPUTATION_WEIGHTED"], reputation_weighted=reputation)
    played.say("a", decision="go", answer="go")
    played.say("b", decision="stop", answer="stop")

    assert _ended(played)[0] == winner


def test_the_draw_can_be_repeated_by_anyone() -> None:
    """SHA-256 of run, bucket and sorted candidates; sixteen hex digits modulo their number."""
    played = _tied(["STOCHASTIC"])
    played.say("a", decision="tails", answer="tails")
    played.say("b", decision="heads", answer="heads")

    digest = hashlib.sha256(b"run-1:answer:HEADS|TAILS").hexdigest()
    assert _ended(played)[0] == ["HEADS", "TAILS"][int(digest[:16], 16) % 2]


def test_the_chain_goes_on_until_somebody_wins() -> None:
    """Each resolver tried leaves a trace; what stands after the winner is not tried."""
    chain = ["CONFIDENCE_WEIGHTED", "REEXPLORE", "STOCHASTIC", "REPUTATION_WEIGHTED"]
    played = _tied(chain, reexplore={"max_tie_iterations": 0})
    played.say("a", decision="go", answer="go")
    played.say("b", decision="stop", answer="stop")

    _, trace = _ended(played)

    assert [entry.get("outcome", "won") for entry in trace] == ["UNRESOLVED", "PENDING_REEXPLORE", "won"]


def test_a_tie_policy_that_is_not_enabled_leaves_the_tie() -> None:
    """No resolver is tried and the value is null."""
    played = _tied(["STOCHASTIC"], enabled_on=[])
    played.say("a", decision="go", answer="go")
    played.say("b", decision="stop", answer="stop")

    assert _ended(played) == (None, [])
