"""The main job in pure functions: one round that splits, one that agrees, and what the doubled line changes."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from reference_executors.revenue.lenses import LENSES, Finding, Lens, closer_look, control_figures, first_look, lens_for
from reference_executors.revenue.sales import Sales, double_bookings, read_sales
from tests.reference_executors.sales_files import EXAMPLE, row, shipped, table, without_the_doubled_line

#: Enough draws for a confidence within a few per cent; the votes do not depend on it.
DRAWS = 300
QUORUM = 2


def _first_round(sales: Sales) -> list[Finding]:
    return [first_look(sales, lens, seed="test", draws=DRAWS) for lens in LENSES]


def _second_round(sales: Sales) -> list[Finding]:
    return [closer_look(sales, lens, seed="test", draws=DRAWS) for lens in LENSES]


def test_the_documents_three_prompts_ask_for_three_different_lenses() -> None:
    """Each analyst of the run looks by another dimension."""
    spec = json.loads((EXAMPLE / "run-spec.json").read_text(encoding="utf-8"))

    assert tuple(lens_for(agent["prompt"]) for agent in spec["agents"]) == LENSES
    assert lens_for("Tell me something nice.").dimension == "region"


def test_the_first_round_splits_three_ways_in_both_buckets() -> None:
    """No decision and no answer reaches the quorum, so the kernel has to ask again."""
    findings = _first_round(shipped())

    assert [finding.decision for finding in findings] == ["INVESTIGATE", "GROWTH", "DECLINE"]
    assert max(Counter(finding.answer for finding in findings).values()) < QUORUM


def test_the_second_round_agrees_and_names_the_offending_lines() -> None:
    """Each analyst finds the same double booking on its own."""
    (double,) = double_bookings(shipped())

    findings = _second_round(shipped())

    assert [(finding.decision, finding.answer) for finding in findings] == [("RESTATE", "BOOKED_TWICE")] * 3
    assert all(anomaly.lines == list(double.numbers) for finding in findings for anomaly in finding.anomalies)
    assert str(double.numbers[1]) in findings[0].summary


def test_without_the_doubled_line_the_decision_is_another_one_at_once() -> None:
    """Two of three see a decline in the first round; there is nothing to re-explore."""
    clean = read_sales(without_the_doubled_line())

    findings = _first_round(clean)

    assert Counter(finding.decision for finding in findings)["DECLINE"] == QUORUM
    assert Counter(finding.answer for finding in findings)["MOST_GROUPS_FELL"] == QUORUM


def test_a_closer_look_that_finds_nothing_decides_by_the_total() -> None:
    """All three agree, whatever their dimension, because the total is the same."""
    findings = _second_round(read_sales(without_the_doubled_line()))

    assert [(finding.decision, finding.answer) for finding in findings] == [("DECLINE", "TOTAL_FELL")] * 3
    assert all(not finding.anomalies for finding in findings)


def test_confidence_tells_that_the_split_round_rests_on_few_customers() -> None:
    """The region's vote hangs on one customer, and its confidence says so."""
    region, _, _ = _first_round(shipped())
    cleaned, _, _ = _first_round(read_sales(without_the_doubled_line()))

    assert region.confidence < 0.75
    assert cleaned.confidence > 0.9


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.dimension)
def test_every_finding_has_three_drivers_with_growth_and_control_figures(lens: Lens) -> None:
    """What the instructions ask for is there, whatever the vote."""
    finding = first_look(shipped(), lens, seed="test", draws=DRAWS)

    assert len(finding.drivers) == 3
    assert all(driver.growth is not None and 0 < driver.share < 1 for driver in finding.drivers)
    assert finding.check_summary == control_figures(shipped())
    assert [anomaly.kind for anomaly in finding.anomalies] == ["LARGE_LINE", "LARGE_LINE"]


def test_a_group_that_is_new_has_no_growth() -> None:
    """Nothing is divided by a quarter in which it did not sell."""
    rows = (row(date="2025-04-01"), row(), row("I-2").replace("NORTH", "SOUTH"))

    finding = first_look(read_sales(table(*rows)), LENSES[0], seed="test", draws=DRAWS)

    assert {driver.group: driver.growth for driver in finding.drivers} == {"NORTH": 0.0, "SOUTH": None}


def test_a_double_booking_of_an_older_quarter_does_not_restate_this_one() -> None:
    """Only the two quarters that are compared can be wrong for this question."""
    old = row("I-0", date="2024-01-01")
    sales = read_sales(table(old, old, row(date="2025-04-01"), row("I-2")))

    assert closer_look(sales, LENSES[0], seed="test", draws=DRAWS).decision == "STEADY"
