"""What one step said."""

from __future__ import annotations

import pytest

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.aggregation.conclusion import conclusion_of, confidence_in, voices_of, vote_in
from kernel_stub.rules.spec import ConfidenceWeighted
from tests.kernel_stub.rules.playing import Played, make_spec


@pytest.mark.parametrize(
    ("result", "conclusion"),
    [
        ({"candidate_output": {"answer": "a"}, "result_summary": "s", "answer": "b"}, {"answer": "a"}),
        ({"candidate_output": None, "answer": "b"}, None),
        ({"result_summary": '{"answer": "a"}', "answer": "b"}, {"answer": "a"}),
        ({"result_summary": "no JSON"}, "no JSON"),
        ({"result_summary": "[" * 5_000}, "[" * 5_000),
        ({"result_summary": "[" * 500 + "]" * 500}, "[" * 500 + "]" * 500),
        ({"result_summary": ["x"]}, ["x"]),
        ({"answer": None}, {"answer": None}),
        ({"decision": "d", "more": 1}, {"decision": "d", "more": 1}),
        ({"more": 1}, None),
        ({}, None),
        ("text", None),
        ([{"answer": "a"}], None),
        (None, None),
        (3, None),
    ],
)
def test_a_conclusion_is_found_where_a_result_has_it(result: Json, conclusion: Json) -> None:
    """Candidate output, then summary, then the result itself; a summary that is no shallow JSON stays text."""
    assert conclusion_of(result) == conclusion


@pytest.mark.parametrize(
    "conclusion", [None, "yes", ["yes"], {"answer": 1}, {"answer": ["yes"]}, {"answer": " \t"}, {}]
)
def test_what_is_no_text_is_no_vote(conclusion: Json) -> None:
    """Numbers, lists and blanks abstain."""
    assert vote_in(conclusion, "answer") is None


@pytest.mark.parametrize(
    ("conclusion", "confidence"),
    [
        ({"decision_confidence": 0.9, "confidence": 0.1}, 0.9),
        ({"decision_confidence": "0.9", "confidence": 0.1}, 0.1),
        ({"decision_confidence": None}, 0.5),
        ({"decision_confidence": True, "confidence": False}, 0.5),
        ({"decision_confidence": 7}, 1.0),
        ({"decision_confidence": -0.5}, 0.0),
        ({"decision_confidence": 2**64 - 1}, 1.0),
        ({"answer_confidence": 0.9}, 0.5),
        ("text", 0.5),
        (None, 0.5),
    ],
)
def test_confidence_is_a_number_from_0_to_1(conclusion: Json, confidence: float) -> None:
    """The bucket's own field, else the general one, else the default; only numbers count."""
    assert confidence == confidence_in(conclusion, "decision", ConfidenceWeighted())


def test_evidence_is_gathered_from_result_and_conclusion_each_digest_once() -> None:
    """Trimmed, blank ones dropped, whatever has a wrong type ignored."""
    played = Played.of(make_spec())
    conclusion = {"evidence_refs": [{"digest": "z"}, {"digest": 1}, "x", {}], "evidence_digests": "none"}
    played.end("a", {"candidate_output": conclusion, "evidence_digests": [" z ", "", "b", None, 3]})

    assert voices_of([played.steps["a"]])[0].evidence == ("b", "z")


def test_voices_come_by_priority_then_step_id() -> None:
    """The order in which results show steps does not depend on the order of rows."""
    agents = [
        {"agent_id": name, "executor": "rt", "prompt": "p", "priority": priority}
        for name, priority in (("low", -1), ("b", 0), ("a", 0), ("high", 5))
    ]
    played = Played.of(make_spec(agents=agents))

    assert [voice.agent_id for voice in voices_of(list(played.steps.values()))] == ["high", "a", "b", "low"]
