"""The run specification: defaults, rules, the rows it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from executor_sdk.protocol.plain import Json, parse
from kernel_stub.rules.records import RunStatus, StepStatus
from kernel_stub.rules.spec import SpecError, backoff_ms, max_attempts, new_run, parse_spec, step_inputs, verifiers_of
from tests.kernel_stub.rules.playing import NOW_MS, Played, make_spec

# Recorded from the HTTP API of the WattSwarm kernel, wattetheria/wattswarm at fafc797.
_RECORDED = [parse(line) for line in (Path(__file__).parents[2] / "data" / "run_specs.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize("recorded", _RECORDED, ids=lambda recorded: recorded["spec"]["run_id"] or "blank")
def test_a_recorded_specification_gets_its_recorded_sentence(recorded: Json) -> None:
    """The kernel's words, or ours where the kernel cannot say what is wrong."""
    sentence = None
    try:
        parse_spec(recorded["spec"])
    except SpecError as refused:
        sentence = refused.sentence

    assert recorded.get("ours", recorded["kernel"]) == sentence


def test_what_is_left_out_gets_the_documented_defaults() -> None:
    """A specification of only the required keys runs as the documents say."""
    spec = parse_spec(make_spec()).model_dump()

    tie, null = spec["aggregation"]["tie_policy"], spec["aggregation"]["null_policy"]
    reexplore = {"max_tie_iterations": 1, "no_new_evidence_rounds": 1, "require_new_evidence": True}
    assert (spec["task_type"], spec["shared_inputs"]) == ("swarm", {})
    assert spec["retry"] == {"max_attempts": 2, "backoff_ms": 1500}
    assert (spec["aggregation"]["mode"], spec["aggregation"]["quorum"]) == ("all_done", None)
    assert (tie["enabled_on"], tie["chain"], tie["reexplore"]) == (["TIE"], ["STOCHASTIC"], reexplore)
    assert (null["enabled_on"], null["chain"]) == (["EMPTY", "QUORUM_NULL"], ["REEXPLORE", "FINALIZE_NULL"])
    assert null["reexplore"] == reexplore
    assert tie["confidence_weighted"] == {
        "decision_confidence_field": "decision_confidence",
        "answer_confidence_field": "answer_confidence",
        "confidence_field": "confidence",
        "default_confidence": 0.5,
    }
    assert tie["reputation_weighted"] == {"agent_reputation_units": {}, "missing_reputation": "SKIP"}


def test_defaults_are_not_shared_between_specifications() -> None:
    """Whoever changes the lists of one specification changes no other."""
    parse_spec(make_spec()).aggregation.tie_policy.chain.append("REEXPLORE")

    assert parse_spec(make_spec()).aggregation.tie_policy.chain == ["STOCHASTIC"]


def test_the_first_broken_rule_is_the_sentence_and_all_are_fields() -> None:
    """An author sees every broken rule at once, each with its place."""
    agents = [{"agent_id": "a", "executor": " ", "prompt": "p"}, {"agent_id": "a", "executor": "rt", "prompt": "\n"}]

    with pytest.raises(SpecError) as refused:
        parse_spec({"run_id": "\u2003", "agents": agents, "retry": {"max_attempts": 0}})

    assert refused.value.sentence == str(refused.value) == "run_id is required"
    assert refused.value.fields == (
        ("run_id", "run_id is required"),
        ("agents[0].executor", "executor is required for agent a"),
        ("agents[1].agent_id", "duplicate agent_id: a"),
        ("agents[1].prompt", "prompt is required for agent a"),
        ("retry.max_attempts", "retry.max_attempts must be > 0"),
    )


def test_an_absent_required_text_is_told_like_a_blank_one() -> None:
    """Leaving out a key is no other mistake than leaving it empty."""
    with pytest.raises(SpecError) as refused:
        parse_spec({"run_id": "r", "agents": [{}]})

    assert [said for _, said in refused.value.fields] == [
        "agent_id is required",
        "executor is required for agent ",
        "prompt is required for agent ",
    ]


def test_an_open_market_run_is_refused_with_a_sentence() -> None:
    """What this kernel does not offer it says, after what would be wrong with it anywhere."""
    market = {"min_participants": 1, "threshold_percent": 50, "round_timeout_ms": 1, "max_rounds": 1}

    with pytest.raises(SpecError) as refused:
        parse_spec({"run_id": "r", "round_policy": market, "feed_key": "f"})

    assert [said for _, said in refused.value.fields] == [
        "market_task_id is required for stigmergy runs",
        "scope_hint is required for stigmergy runs",
        "round_policy: open-market runs are not offered by this kernel; name the agents instead",
    ]


def test_a_new_run_and_its_steps_wait_for_the_kickoff() -> None:
    """Submitting writes rows; nothing of them is due."""
    agent = {"agent_id": "z", "executor": "rt", "prompt": "p", "profile": "careful", "weight": 2, "priority": -3}

    run, (step,) = new_run(parse_spec(make_spec(agents=[agent], shared_inputs=[1], task_type="t")), NOW_MS)

    assert (run.status, run.task_type, run.shared_inputs, run.result) == (RunStatus.CREATED, "t", [1], {})
    assert (run.created_at, run.updated_at, run.started_at, run.finished_at) == (NOW_MS, NOW_MS, None, None)
    assert (step.step_id, step.status, step.attempt) == ("run-1:z", StepStatus.CREATED, 0)
    assert (step.executor, step.profile, step.weight, step.priority) == ("rt", "careful", 2.0, -3)


def test_unknown_keys_stay_in_the_stored_specification() -> None:
    """What a submitter wrote is kept, known to this kernel or not, nulls included."""
    submitted = make_spec(x_note={"deep": None}, task_template={"budget": {"time_ms": None}})

    run, _ = new_run(parse_spec(submitted), NOW_MS)

    assert run.spec["x_note"] == {"deep": None}
    assert run.spec["task_template"] == {"budget": {"time_ms": None}}


def test_a_step_gets_the_shared_inputs_with_its_own_prompt_and_agent_id() -> None:
    """Keys of the same name in the shared inputs give way; the shared inputs themselves stay as they are."""
    shared = {"topic": "t", "prompt": "not this", "agent_id": "nor this"}
    played = Played.of(make_spec(shared_inputs=shared))

    inputs = step_inputs(played.run, played.steps["a"])

    assert inputs == {"topic": "t", "prompt": "prompt of a", "agent_id": "a"}
    assert shared == {"topic": "t", "prompt": "not this", "agent_id": "nor this"}


@pytest.mark.parametrize("shared", ["text", 7, None, [1, 2], True])
def test_shared_inputs_that_are_no_object_stand_under_their_name(shared: Json) -> None:
    """An agent finds them under `shared_inputs`."""
    played = Played.of(make_spec(shared_inputs=shared))

    assert step_inputs(played.run, played.steps["b"]) == {
        "shared_inputs": shared,
        "prompt": "prompt of b",
        "agent_id": "b",
    }


@pytest.mark.parametrize(
    ("base", "attempt", "wait"),
    [(1500, 1, 1500), (1500, 2, 3000), (1500, 4, 12_000), (0, 1, 200), (60, 2, 200), (1, 17, 65_536), (1, 99, 65_536)],
)
def test_the_wait_doubles_with_each_attempt_up_to_a_bound(base: int, attempt: int, wait: int) -> None:
    """At least 200 ms, at most sixteen doublings."""
    run, _ = new_run(parse_spec(make_spec(retry={"backoff_ms": base})), NOW_MS)

    assert wait == backoff_ms(run, attempt)


def test_the_longest_wait_still_fits_a_64_bit_time() -> None:
    """A back-off of 2^64-1 ms must not overflow the column that the due time is kept in."""
    run, _ = new_run(parse_spec(make_spec(retry={"backoff_ms": 2**64 - 1, "max_attempts": 2**32 - 1})), NOW_MS)

    assert NOW_MS + backoff_ms(run, 40) < 2**63
    assert max_attempts(run) == 2**32 - 1


def test_an_agent_has_its_own_verifier_or_the_runs_or_none() -> None:
    """Who verifies is said per agent, else per run, else the executor verifies itself."""
    agents = [
        {"agent_id": "a", "executor": "rt", "prompt": "p", "verifier": "strict"},
        {"agent_id": "b", "executor": "rt", "prompt": "p"},
    ]
    run, _ = new_run(parse_spec(make_spec(agents=agents, verifier="mild")), NOW_MS)
    alone, _ = new_run(parse_spec(make_spec()), NOW_MS)

    assert verifiers_of(run) == {"a": "strict", "b": "mild"}
    assert verifiers_of(alone) == {}


def test_a_stored_run_without_policies_has_the_defaults() -> None:
    """A row written before a policy existed is read as if its defaults stood there."""
    run, _ = new_run(parse_spec(make_spec()), NOW_MS)

    assert max_attempts(replace(run, spec={})) == 2
