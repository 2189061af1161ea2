"""Rules as data: each kind, each refusal while reading, and no pattern that hangs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from pydantic import ValidationError

from reference_executors.rule_verifier import rules as module
from reference_executors.rule_verifier.rules import (
    EvidenceRule,
    RangeRule,
    RegexRule,
    SchemaRule,
    broken_rules,
    read_rules,
)

SHIPPED = Path(module.__file__).with_name("rules.json")
GOOD: dict[str, Any] = {
    "decision": "DECLINE",
    "answer": "MOST_GROUPS_FELL",
    "confidence": 0.9,
    "check_summary": "10 lines, 0 unreadable; 2025-Q2: 1.00, 2025-Q3: 2.00",
    "drivers": [{"group": "NORTH", "revenue": 5}],
}


def test_a_good_output_breaks_none_of_the_shipped_rules() -> None:
    """The rules fit what the analyst answers."""
    assert broken_rules(read_rules(SHIPPED), GOOD, cited=1) == []


@pytest.mark.parametrize(
    ("change", "cited", "code", "sentence"),
    [
        ({"decision": "MAYBE"}, 1, 1101, "output.decision is none of GROWTH"),
        ({"drivers": [{"group": "NORTH"}]}, 1, 1101, r"output.drivers\[0\] has no revenue"),
        ({"drivers": {"group": "NORTH"}}, 1, 1101, "output.drivers is not of type array"),
        ({"confidence": 0.2}, 1, 1102, "confidence is 0.2, below 0.5"),
        ({"confidence": 1.5}, 1, 1102, "confidence is 1.5, above 1"),
        ({"check_summary": "all fine"}, 1, 1103, "check_summary does not match"),
        ({}, 0, 1104, "0 files are cited, of at least 1"),
    ],
)
def test_each_rule_has_a_reason_code_of_its_own(change: dict[str, Any], cited: int, code: int, sentence: str) -> None:
    """A broken rule is known by its code, and told in a sentence with the place."""
    (broken,) = broken_rules(read_rules(SHIPPED), GOOD | change, cited)

    assert broken.code == code
    assert re.match(sentence, broken.sentence)


@pytest.mark.parametrize("output", [None, [], "text", 5, {}, {"confidence": True, "check_summary": 7}])
def test_any_json_can_be_judged(output: object) -> None:
    """An output of another kind breaks rules; it never breaks the verifier."""
    codes = [broken.code for broken in broken_rules(read_rules(SHIPPED), output, cited=1)]

    assert codes == [1101, 1102, 1103]


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("integer", 5, True),
        ("integer", 5.0, True),
        ("integer", 5.5, False),
        ("integer", True, False),
        ("number", True, False),
        ("boolean", True, True),
        ("null", None, True),
        ("object", [], False),
    ],
)
def test_types_are_those_of_json(kind: str, value: object, fits: bool) -> None:
    """A truth value is no number, and 5.0 is an integer."""
    rule = SchemaRule.model_validate({"kind": "schema", "code": 1000, "name": "R", "shape": {"type": kind}})

    assert (rule.breach(value) is None) is fits


def test_a_path_goes_down_through_objects() -> None:
    """Keys are joined by dots."""
    rule = RangeRule(kind="range", code=1000, name="R", at="totals.north", minimum=1)

    assert rule.breach({"totals": {"north": 1}}) is None
    assert rule.breach({"totals": [1]}) == "totals.north is not a number"


async def _judged_in_time(rule: RegexRule, text: str) -> str | None:
    with anyio.fail_after(5):
        return await anyio.to_thread.run_sync(rule.breach, {"text": text}, abandon_on_cancel=True)


@pytest.mark.anyio
async def test_no_pattern_makes_the_verifier_hang() -> None:
    """The classical trap for engines that backtrack takes time in proportion to the text."""
    rule = RegexRule(kind="regex", code=1000, name="R", at="text", pattern="^(a+)+$")

    assert await _judged_in_time(rule, "a" * 200_000) is None
    assert await _judged_in_time(rule, "a" * 200_000 + "b") is not None


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "regex", "code": 1000, "name": "R", "at": "a", "pattern": "("},
        {"kind": "regex", "code": 1000, "name": "R", "at": "a", "pattern": "(?=look)"},
        {"kind": "range", "code": 101, "name": "R", "at": "a", "minimum": 0},
        {"kind": "guess", "code": 1000, "name": "R"},
        {"kind": "range", "code": 1000, "name": "R", "at": "a", "exclusiveMinimum": 0},
        {"kind": "schema", "code": 1000, "name": "R", "shape": {"oneOf": []}},
        {"kind": "evidence", "code": 1000, "name": "R", "at_least": 0},
        {"kind": "evidence", "code": 1000, "name": "no name"},
    ],
)
def test_a_rule_that_cannot_be_checked_is_refused_while_reading(rule: dict[str, Any], tmp_path: Path) -> None:
    """A typing error in the file stops the start and not a verdict."""
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([rule]), encoding="utf-8")

    with pytest.raises(ValidationError):
        read_rules(path)


def test_two_rules_with_one_code_are_refused(tmp_path: Path) -> None:
    """One reason must not mean two faults."""
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([{"kind": "evidence", "code": 1000, "name": "R"}] * 2), encoding="utf-8")

    with pytest.raises(ValueError, match="a code of its own"):
        read_rules(path)


def test_evidence_counts_the_cited_files() -> None:
    """Two are asked for, one is cited."""
    rule = EvidenceRule(kind="evidence", code=1000, name="R", at_least=2)

    assert rule.breach(2) is None
    assert rule.breach(1) == "1 files are cited, of at least 2"
