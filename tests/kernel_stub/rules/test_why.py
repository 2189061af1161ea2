"""Why a run ended as it did."""

from __future__ import annotations

from msgspec.structs import replace

from kernel_stub.rules.records import RunEvent
from kernel_stub.rules.why import MAX_NAMED, explain
from tests.kernel_stub.rules.playing import NOW_MS, Played, make_spec


def _explained(played: Played) -> list[str]:
    return explain(played.run, list(played.steps.values()), played.past)


def test_two_rounds_are_explained_in_five_lines() -> None:
    """Outcome, votes with names, path, chain of rounds, evidence with line numbers."""
    played = Played.of(make_spec(aggregation={"quorum": 2}))
    for agent, vote in (("a", "growth"), ("b", "decline"), ("c", "investigate")):
        played.say(agent, "sha256:file", decision=vote, answer=vote)
    played.finish()
    anomaly = {"kind": "BOOKED_TWICE", "lines": [1304, 812, 812]}
    played.say("a", "sha256:file", "sha256:lines", decision="restate", answer="yes", anomalies=[anomaly])
    played.say("b", "sha256:lines", decision="restate", answer="yes", lines=[9])
    played.say("c", "sha256:file", decision="growth", answer="growth")
    played.finish()

    assert _explained(played) == [
        "run-1 FINALIZED: decision RESTATE, answer YES",
        "votes: decision RESTATE 2 (a, b); answer YES 2 (a, b); not counted, no new evidence: c",
        "path: decision WINNER_PATH, 2 votes of the 2 wanted; answer WINNER_PATH, 2 votes of the 2 wanted",
        "chain: round 1 NULL_PATH for decision and answer, told NEED_MORE_EVIDENCE; round 2 ended it",
        "cited evidence: a sha256:file, sha256:lines lines 812, 1304; b sha256:lines lines 9; c sha256:file",
    ]


def test_a_draw_and_a_null_are_explained() -> None:
    """The chain names what each resolver came to."""
    played = Played.of(make_spec(aggregation={"null_policy": {"chain": ["FINALIZE_NULL"]}}))
    played.say("a", answer="x")
    played.say("b", answer="y")
    played.end("c", status="FAILED", error="runtime /execute status: 422")
    played.finish()

    outcome, votes, path, chain, evidence = _explained(played)

    winner = played.run.result["aggregation"]["final_answer"]
    assert outcome == f"run-1 FINALIZED: decision null, answer {winner}; failed: c (runtime /execute status: 422)"
    assert votes == "votes: decision none; answer X 1 (a), Y 1 (b)"
    assert path == (
        "path: decision NULL_PATH, EMPTY because EXECUTION_INCOMPLETE_OR_FAILED; answer TIE_PATH, X, Y with 1 vote each"
    )
    assert chain == f"chain: round 1 decision FINALIZE_NULL FINALIZED_NULL, answer STOCHASTIC {winner}"
    assert evidence == "cited evidence: none"


def test_a_round_that_was_not_granted_is_told_as_such() -> None:
    """The trace calls it pending; to a reader of an ended run it is a budget that was used up."""
    aggregation = {"quorum": 2, "null_policy": {"reexplore": {"max_tie_iterations": 0}}}
    played = Played.of(make_spec(aggregation=aggregation))
    for agent, vote in (("a", "x"), ("b", "y"), ("c", "z")):
        played.say(agent, decision=vote, answer="same")
    played.finish()

    chain = _explained(played)[3]

    assert chain == "chain: round 1 decision REEXPLORE had no round left, decision FINALIZE_NULL FINALIZED_NULL"


def test_a_run_without_a_success_names_its_failures() -> None:
    """There is no decision to explain."""
    played = Played.of(make_spec(aggregation={"null_policy": {"chain": []}}))
    for agent in "abc":
        played.end(agent, status="FAILED")
    played.finish()

    assert _explained(played)[0] == (
        "run-1 FAILED: no step succeeded; failed: a (no error was kept), b (no error was kept), c (no error was kept)"
    )


def test_an_unfinished_run_says_how_far_it_is() -> None:
    """And what earlier rounds asked for."""
    played = Played.of(make_spec(aggregation={"quorum": 2}))
    played.say("a", decision="go", answer="yes")
    assert _explained(played) == ["run-1 is RUNNING: 1 of 3 steps have ended"]

    played.say("b")
    played.say("c")
    played.finish()
    assert _explained(played) == [
        "run-1 is QUEUED: 0 of 3 steps have ended",
        "chain: round 1 NULL_PATH for decision and answer, told NEED_MORE_EVIDENCE",
    ]


def test_strangers_text_breaks_no_line_and_speaks_to_no_terminal() -> None:
    """Votes, errors, digests and agent ids come from outside."""
    nasty = "x\n\x1b[31m\u202e" + "y" * 10_000
    agents = [{"agent_id": nasty, "executor": "rt", "prompt": "p"}]
    played = Played.of({"run_id": nasty, "agents": agents, "aggregation": {"null_policy": {"chain": []}}})
    played.end(nasty, {"answer": nasty, "evidence_digests": [nasty], "lines": ["1", True, None, 3.5, 4]}, error=nasty)
    played.finish()

    lines = _explained(played)

    assert all(line.isprintable() and len(line) < 700 for line in lines)
    assert "lines 4" in lines[-1]


def test_a_crowd_is_counted_not_listed() -> None:
    """A line names a few and says how many more there are."""
    agents = [{"agent_id": f"a{n:02}", "executor": "rt", "prompt": "p"} for n in range(30)]
    played = Played.of(make_spec(agents=agents))
    for agent in played.steps:
        played.say(agent, decision="go", answer="yes")
    played.finish()

    assert f"and {30 - MAX_NAMED} more" in _explained(played)[1]


def test_events_may_come_newest_first_and_with_others_between() -> None:
    """As a page of a run's events has them."""
    policy = {"quorum": 2, "null_policy": {"reexplore": {"max_tie_iterations": 2}}}
    played = Played.of(make_spec(aggregation=policy))
    for n in range(3):
        for agent in "abc":
            played.say(agent, f"sha256:{n}", decision=agent, **({} if n else {"answer": "yes"}))
        played.finish()
    numbered = [replace(event, event_id=n) for n, event in enumerate(played.past)]
    page = [RunEvent("run-1", "RUN_FINALIZED", {}, NOW_MS, 9), *reversed(numbered)]

    assert explain(played.run, list(played.steps.values()), page)[3] == _explained(played)[3]
    assert "round 1 NULL_PATH for decision, told" in _explained(played)[3]
    assert "round 2 NULL_PATH for decision and answer, told" in _explained(played)[3]
