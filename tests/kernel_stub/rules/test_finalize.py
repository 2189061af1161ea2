"""The end of a run: its rows, its result, its last event, and what it costs for many agents."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.records import RunStatus
from kernel_stub.rules.why import explain
from tests.kernel_stub.rules.playing import NOW_MS, Played, make_spec


def _decided(**overrides: Json) -> Played:
    played = Played.of(make_spec(**overrides))
    played.say("a", "sha256:a", decision="go", answer="yes")
    played.say("b", decision="go", answer="yes")
    played.end("c", status="FAILED", error="boom")
    return played


def test_a_run_with_a_success_is_finalized_with_one_event() -> None:
    """Status, result and event agree, and no step row is touched."""
    played = _decided()

    change = played.finish()

    (event,) = change.run_events
    assert (change.steps, change.attempts, change.task_events) == ((), (), ())
    assert (played.run.status, played.run.updated_at, played.run.finished_at) == (
        RunStatus.FINALIZED,
        NOW_MS + 1,
        NOW_MS + 1,
    )
    assert (event.event_type, event.run_id, event.created_at) == ("RUN_FINALIZED", "run-1", NOW_MS + 1)
    for key in ("run_id", "status", "counts"):
        assert event.payload[key] == played.run.result[key]
    assert played.run.result["counts"]["succeeded"] == 2
    assert played.run.result["counts"]["failed"] == 1


def test_the_result_has_the_documented_keys() -> None:
    """Also the two that the documents promise and the kernel keeps to its event."""
    played = _decided()
    played.finish()
    aggregation = played.run.result["aggregation"]

    assert list(played.run.result) == ["run_id", "status", "counts", "aggregation"]
    assert list(aggregation) == [
        "mode",
        "final_decision",
        "final_answer",
        "decision_votes",
        "answer_votes",
        "resolution_paths",
        "null_resolution",
        "tie_policy",
        "steps",
    ]
    assert aggregation["resolution_paths"] == {"decision": "WINNER_PATH", "answer": "WINNER_PATH"}
    assert aggregation["steps"][0] == {
        "step_id": "run-1:a",
        "agent_id": "a",
        "executor": "rt",
        "profile": "default",
        "status": "SUCCEEDED",
        "attempt": 0,
        "task_id": None,
        "error": None,
        "result": {"candidate_output": {"decision": "go", "answer": "yes"}, "evidence_digests": ["sha256:a"]},
        "conclusion": {"decision": "go", "answer": "yes"},
        "evidence_digests": ["sha256:a"],
    }


def test_a_run_without_a_success_has_failed() -> None:
    """Once no round is left."""
    played = Played.of(make_spec(aggregation={"null_policy": {"chain": ["FINALIZE_NULL"]}}))
    for agent in "abc":
        played.end(agent, status="FAILED", error="boom")

    played.finish()

    assert played.run.status is RunStatus.FAILED
    assert [step["error"] for step in played.run.result["aggregation"]["steps"]] == ["boom"] * 3


def test_a_blank_mode_is_shown_as_the_default() -> None:
    """The label of an aggregation is never empty."""
    played = _decided(aggregation={"mode": " "})
    played.finish()

    assert played.run.result["aggregation"]["mode"] == "all_done"


@pytest.mark.parametrize("quorum", [0, None])
def test_a_quorum_of_zero_is_none(quorum: int | None) -> None:
    """One vote is enough then."""
    played = Played.of(make_spec(aggregation={"quorum": quorum}))
    played.say("a", decision="go", answer="yes")
    for agent in "bc":
        played.end(agent, status="CANCELLED")
    played.finish()

    assert played.run.result["aggregation"]["final_decision"] == "GO"


def test_the_cost_of_a_decision_grows_with_the_agents_and_no_faster() -> None:
    """Two rounds, a tie among thousands, evidence from everybody: 10,000 agents against 1,000."""
    small_s, large_s = _seconds_to_decide(1_000), _seconds_to_decide(10_000)

    # Ten times the agents; squared growth would be a hundred times. A machine under load stays well between.
    assert large_s < 40 * small_s, f"{small_s:.3f} s for 1,000 agents, {large_s:.3f} s for 10,000"


def _seconds_to_decide(number: int) -> float:
    """Processor time of two rounds and of the explanation, without the making of the rows."""
    agents = [{"agent_id": f"agent-{n}", "executor": "rt", "prompt": "p"} for n in range(number)]
    policy = {"tie_policy": {"chain": ["CONFIDENCE_WEIGHTED", "REEXPLORE", "STOCHASTIC"]}}
    played = Played.of(make_spec(agents=agents, aggregation=policy))
    spent_s = 0.0
    for n in range(2):
        for agent in played.steps:
            played.say(agent, f"sha256:{agent}:{n}", decision=f"d-{agent}", answer=f"a{len(agent)}", lines=[n, 7])
        begun_s = time.process_time()
        played.finish()
        spent_s += time.process_time() - begun_s
    begun_s = time.process_time()
    lines = explain(played.run, list(played.steps.values()), played.past)
    spent_s += time.process_time() - begun_s

    assert played.run.status is RunStatus.FINALIZED
    assert max(map(len, lines)) < 2_000
    return spent_s


def test_a_finished_run_is_rebuilt_from_its_rows_alike() -> None:
    """The same rows give the same change: a crash between thinking and saving loses nothing."""
    one, two = _decided(), _decided()

    assert one.finish() == two.finish()
    assert replace(one.run) == two.run
