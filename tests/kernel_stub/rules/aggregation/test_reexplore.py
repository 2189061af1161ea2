"""Another round: when, for whom, and when no more."""

from __future__ import annotations

from random import Random

import orjson
import pytest
from msgspec.structs import replace

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.finalize import finish
from kernel_stub.rules.records import TERMINAL_RUN, RunStatus, StepStatus
from tests.kernel_stub.rules.playing import NOW_MS, Played, make_spec


def _split(played: Played, *evidence: str) -> None:
    """Agents a and b disagree, c abstains; all cite the same evidence."""
    played.say("a", *evidence, decision="go", answer="go")
    played.say("b", *evidence, decision="stop", answer="stop")
    played.say("c", *evidence)


def test_a_split_below_quorum_is_asked_for_more_evidence() -> None:
    """The agents find in their inputs what the next round needs of them."""
    played = Played.of(make_spec(aggregation={"quorum": 2}, shared_inputs={"topic": "t"}))
    _split(played)

    change = played.finish()

    assert played.run.status is RunStatus.QUEUED
    assert [event.event_type for event in change.run_events] == ["RUN_NULL_REEXPLORE_TRIGGERED"]
    assert played.run.shared_inputs["topic"] == "t"
    assert played.run.shared_inputs["_aggregation_signal"] == {
        "type": "NEED_MORE_EVIDENCE",
        "path": "NULL_PATH",
        "iteration": 1,
        "unresolved_buckets": ["decision", "answer"],
        "require_new_evidence": True,
        "null_primary_kind": "QUORUM_NULL",
        "null_reason": "VALID_VOTES_BELOW_QUORUM",
    }


@pytest.mark.parametrize(
    ("statuses", "action"),
    [
        (("SUCCEEDED", "SUCCEEDED", "SUCCEEDED"), "NEED_DECISION"),
        (("SUCCEEDED", "FAILED", "SUCCEEDED"), "NEED_STEP_RECOVERY"),
        (("FAILED", "FAILED", "CANCELLED"), "NEED_STEP_RECOVERY"),
    ],
)
def test_a_round_without_votes_is_asked_for_what_was_missing(statuses: tuple[str, ...], action: str) -> None:
    """A decision, where all steps succeeded; else that the steps recover."""
    played = Played.of(make_spec())
    for agent, status in zip("abc", statuses, strict=True):
        played.end(agent, status=status)

    played.finish()

    assert action == played.run.shared_inputs["_aggregation_signal"]["type"]


@pytest.mark.parametrize(
    ("statuses", "again"),
    [
        (("SUCCEEDED", "FAILED", "CANCELLED"), ["a"]),
        (("FAILED", "FAILED", "CANCELLED"), ["a", "b", "c"]),
    ],
)
def test_the_steps_that_succeeded_run_again_or_all_if_none_did(statuses: tuple[str, ...], again: list[str]) -> None:
    """A step that runs again keeps its count of attempts, because task ids are made of it, and nothing else."""
    played = Played.of(make_spec())
    for agent, status in zip("abc", statuses, strict=True):
        played.end(agent, status=status, error="boom")
        held = replace(played.steps[agent], attempt=3, recoveries=2, lease_id="l", lease_owner="w", task_id="t")
        played.steps[agent] = held

    change = played.finish()

    assert [step.agent_id for step in change.steps] == again
    for step in change.steps:
        assert (step.status, step.attempt, step.recoveries, step.next_run_at) == (StepStatus.QUEUED, 3, 0, NOW_MS + 1)
        assert (step.lease_id, step.lease_owner, step.task_id, step.error, step.result) == (None, None, None, None, {})


def test_a_tie_goes_before_a_null() -> None:
    """With one bucket tied and the other empty, the tie's round comes first."""
    policy = {"tie_policy": {"chain": ["REEXPLORE", "STOCHASTIC"]}}
    played = Played.of(make_spec(aggregation=policy))
    played.say("a", answer="x")
    played.say("b", answer="y")
    played.say("c")

    types = [played.finish().run_events[0].event_type]
    for agent, answer in (("a", "x"), ("b", "y"), ("c", "z")):
        played.say(agent, f"sha256:{agent}", answer=answer)
    types.append(played.finish().run_events[0].event_type)

    assert types == ["RUN_TIE_REEXPLORE_TRIGGERED", "RUN_NULL_REEXPLORE_TRIGGERED"]


def test_in_a_later_round_only_new_evidence_has_a_vote() -> None:
    """Who brings what was known already is heard for confidence, not for the count."""
    played = Played.of(make_spec(aggregation={"quorum": 2}))
    _split(played, "sha256:old")
    played.finish()
    played.say("a", "sha256:old", "sha256:new", decision="restate", answer="yes")
    played.say("b", "sha256:old", decision="go", answer="no")
    played.say("c", "sha256:new", decision="restate", answer="yes")

    played.finish()

    aggregation = played.run.result["aggregation"]
    assert (aggregation["decision_votes"], aggregation["answer_votes"]) == ({"RESTATE": 2}, {"YES": 2})
    assert aggregation["final_decision"] == "RESTATE"


def test_if_nobody_brings_anything_new_everybody_votes() -> None:
    """A barren round is counted whole."""
    played = Played.of(make_spec(aggregation={"quorum": 2}))
    _split(played, "sha256:old")
    played.finish()
    for agent in "abc":
        played.say(agent, "sha256:old", decision="go", answer="yes")

    played.finish()

    assert played.run.result["aggregation"]["decision_votes"] == {"GO": 3}


def test_barren_rounds_end_the_search_before_the_budget_does() -> None:
    """With a budget of many rounds, two without anything new are enough."""
    budget = {"max_tie_iterations": 9, "no_new_evidence_rounds": 1}
    played = Played.of(make_spec(aggregation={"quorum": 3, "null_policy": {"reexplore": budget}}))
    rounds = 0
    while played.run.status not in TERMINAL_RUN:
        _split(played, "sha256:old")
        played.finish()
        rounds += 1

    assert (rounds, played.run.status) == (3, RunStatus.FINALIZED)


def test_a_run_that_is_being_cancelled_explores_no_more() -> None:
    """Its result tells what was said until then."""
    played = Played.of(make_spec(aggregation={"quorum": 2}))
    _split(played)
    played.run = replace(played.run, status=RunStatus.CANCELLING)

    change = played.finish()

    assert (played.run.status, change.steps) == (RunStatus.CANCELLED, ())
    assert played.run.result["status"] == change.run_events[0].payload["status"] == "CANCELLED"
    assert played.run.result["aggregation"]["answer_votes"] == {"GO": 1, "STOP": 1}


def _random_spec(dice: Random) -> Json:
    def some(names: list[str]) -> list[str]:
        return dice.sample(names, dice.randint(0, len(names)))

    def budget() -> Json:
        return {
            "max_tie_iterations": dice.randint(0, 3),
            "no_new_evidence_rounds": dice.randint(0, 2),
            "require_new_evidence": dice.random() < 0.7,
        }

    ends = ["TIE", "EMPTY", "QUORUM_NULL"]
    tie = {
        "enabled_on": some(ends),
        "chain": some(["REEXPLORE", "CONFIDENCE_WEIGHTED", "REPUTATION_WEIGHTED", "STOCHASTIC"]),
        "reexplore": budget(),
    }
    null = {"enabled_on": some(ends), "chain": some(["REEXPLORE", "FINALIZE_NULL"]), "reexplore": budget()}
    aggregation = {"quorum": dice.choice([None, 0, 1, 2, 3, 9]), "tie_policy": tie, "null_policy": null}
    return make_spec(aggregation=aggregation, shared_inputs=dice.choice([{}, "text", {"topic": "t"}, [1]]))


def _random_result(dice: Random) -> Json:
    odd: list[Json] = [
        None,
        3,
        "text",
        [],
        {},
        {"answer": {"deep": []}},
        {"result_summary": "{"},
        {"candidate_output": 1},
    ]
    if dice.random() < 0.2:
        return dice.choice(odd)
    conclusion = {"confidence": dice.choice([0, 0.5, 1, 7, -1, None, "1", True])}
    for bucket in ("decision", "answer"):
        conclusion[bucket] = dice.choice(["x", " X", "y", "ß", "", None, 1])
    return {"candidate_output": conclusion, "evidence_digests": dice.sample(["d1", "d2", " d1 ", ""], 2)}


@pytest.mark.parametrize("seed", range(150))
def test_any_run_ends_within_its_budget_and_counts_every_vote_once(seed: int) -> None:
    """Random policies over random results: the same rows in any order give the same change, and it always ends."""
    dice = Random(seed)
    played = Played.of(_random_spec(dice))
    aggregation = played.run.spec["aggregation"]
    most = 1 + sum(aggregation[name]["reexplore"]["max_tie_iterations"] for name in ("tie_policy", "null_policy"))

    for _ in range(most):
        for agent in "abc":
            status = dice.choice(["SUCCEEDED"] * 5 + ["FAILED", "CANCELLED"])
            played.end(agent, _random_result(dice) if status == "SUCCEEDED" else None, status=status)
        shuffled = dice.sample(list(played.steps.values()), len(played.steps))
        before = finish(played.run, shuffled, played.past, NOW_MS + 1)
        change = played.finish()

        assert (before.run, before.run_events) == (change.run, change.run_events)
        assert {step.step_id: step for step in before.steps} == {step.step_id: step for step in change.steps}
        overview = change.run_events[0].payload["aggregation"]
        for bucket in ("decision", "answer"):
            votes = overview[f"{bucket}_votes"]
            assert sum(votes.values()) <= len(played.steps)
            assert overview[f"final_{bucket}"] in {None, *votes}
        orjson.dumps([change.run_events[0].payload, played.run.result, played.run.shared_inputs])
        if played.run.status in TERMINAL_RUN:
            break
    assert played.run.status in TERMINAL_RUN
