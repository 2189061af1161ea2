"""The analyst's pure part: three ways to look at the same sales, and what is reported of each look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from pydantic import BaseModel, Field

from reference_executors.revenue.conclusions import (
    DRAWS,
    Answer,
    Conclusion,
    Decision,
    by_groups,
    by_total,
    confidence,
    unheard,
)
from reference_executors.revenue.sales import (
    Dimension,
    Doubles,
    Measure,
    Sales,
    double_bookings,
    large_lines,
    movements,
    revenue_by_group,
    summed,
)

#: A line that repeats another in every field is a double booking; only its invoice could prove it.
DOUBLE_BOOKING_CONFIDENCE: Final = 0.95


class Driver(BaseModel):
    """A group that earns much of the last quarter; `growth` against the quarter before, None for a new one."""

    group: str
    revenue: float
    share: float
    growth: float | None


class Anomaly(BaseModel):
    """Lines that do not look like the others, by their numbers in the file."""

    kind: Literal["LARGE_LINE", "BOOKED_TWICE"]
    invoice: str
    lines: list[int]
    amount: float


class Finding(BaseModel):
    """What an analyst says. `decision` and `answer` are votes; everything else is for people."""

    decision: Decision
    answer: Answer
    confidence: float = Field(ge=0, le=1)
    check_summary: str = Field(description="control figures that a verifier can compute again from the cited file")
    dimension: Dimension
    measure: Measure
    changes: dict[str, float] = Field(description="what the measure of each group did since the quarter before")
    drivers: list[Driver] = Field(max_length=3)
    anomalies: list[Anomaly]
    summary: str


@dataclass(frozen=True, slots=True)
class Lens:
    """One way to look: by which column, at which measure, chosen by which words of a prompt."""

    dimension: Dimension
    measure: Measure
    words: tuple[str, ...]


LENSES: Final = (
    Lens("region", "revenue", ("geograph", "region", "country", "territor")),
    Lens("product_line", "contribution", ("product", "margin", "contribution")),
    Lens("customer_segment", "customers", ("segment", "churn", "customer")),
)


def lens_for(prompt: str) -> Lens:
    """The lens that most words of the prompt ask for; whoever names none is shown the regions."""
    asked = prompt.lower()
    return max(LENSES, key=lambda lens: sum(word in asked for word in lens.words))


def first_look(
    sales: Sales, lens: Lens, *, seed: str, progress: Callable[[float], None] = unheard, draws: int = DRAWS
) -> Finding:
    """Conclude from the movements of the lens's groups."""
    customers = movements(sales, lens.dimension, lens.measure)
    changes = summed(customers)
    found = by_groups(changes)
    sure = confidence(customers, by_groups, seed=seed, draws=draws, progress=progress)
    large = [
        Anomaly(kind="LARGE_LINE", invoice=line.invoice, lines=[line.number], amount=line.amount / 100)
        for line in large_lines(sales, lens.dimension)
    ]
    return _finding(sales, lens, found, sure, changes=changes, anomalies=large)


def closer_look(
    sales: Sales, lens: Lens, *, seed: str, progress: Callable[[float], None] = unheard, draws: int = DRAWS
) -> Finding:
    """Go through the lines one by one: something booked twice decides, and otherwise the total does."""
    doubles = [double for double in double_bookings(sales) if double.quarter in (sales.before, sales.now)]
    clean = sales.without(number for double in doubles for number in double.numbers[1:])
    changes = summed(movements(clean, lens.dimension, lens.measure))
    if doubles:
        found, sure = Conclusion("RESTATE", "BOOKED_TWICE"), DOUBLE_BOOKING_CONFIDENCE
    else:
        conclude = partial(_of_total, before=sales.revenue(sales.before))
        customers = movements(sales, lens.dimension, "revenue")
        found = conclude(summed(customers))
        sure = confidence(customers, conclude, seed=seed, draws=draws, progress=progress)
    return _finding(clean, lens, found, sure, changes=changes, anomalies=[_booked_twice(double) for double in doubles])


def control_figures(sales: Sales) -> str:
    """Figures that two readers of the same lines must agree on."""
    return (
        f"{len(sales.lines)} lines, {len(sales.unreadable)} unreadable; "
        f"{sales.before}: {_money(sales.revenue(sales.before))}, {sales.now}: {_money(sales.revenue(sales.now))}"
    )


def _of_total(changes: Mapping[str, int], *, before: int) -> Conclusion:
    return by_total(sum(changes.values()), before)


def _booked_twice(double: Doubles) -> Anomaly:
    return Anomaly(kind="BOOKED_TWICE", invoice=double.invoice, lines=list(double.numbers), amount=double.amount / 100)


def _finding(
    sales: Sales, lens: Lens, found: Conclusion, sure: float, *, changes: dict[str, int], anomalies: list[Anomaly]
) -> Finding:
    unit = 1 if lens.measure == "customers" else 100
    drivers = _drivers(sales, lens.dimension)
    return Finding(
        decision=found.decision,
        answer=found.answer,
        confidence=sure,
        check_summary=control_figures(sales),
        dimension=lens.dimension,
        measure=lens.measure,
        changes={group: change / unit for group, change in changes.items()},
        drivers=drivers,
        anomalies=anomalies,
        summary=_prose(sales, lens, found, drivers, anomalies),
    )


def _drivers(sales: Sales, dimension: Dimension) -> list[Driver]:
    before = revenue_by_group(sales, dimension, sales.before)
    now = revenue_by_group(sales, dimension, sales.now)
    total = sum(now.values())
    return [
        Driver(
            group=group,
            revenue=revenue / 100,
            share=round(revenue / total, 4),
            growth=round(revenue / before[group] - 1, 4) if before.get(group) else None,
        )
        for group, revenue in list(now.items())[:3]
    ]


_SENTENCES: Final[dict[Answer, str]] = {
    "MOST_GROUPS_ROSE": "{measure} rose in most groups, most in {leader}",
    "MOST_GROUPS_FELL": "{measure} fell in most groups, most in {leader}",
    "MIXED": "{measure} rose in some groups and fell in others",
    "ONE_GROUP_MOVED_IT": "without {leader} the total of {measure} would not have moved its way",
    "BOOKED_TWICE": "an invoice is booked twice, so the quarter has to be restated",
    "TOTAL_ROSE": "no line is booked twice; total revenue rose",
    "TOTAL_FELL": "no line is booked twice; total revenue fell",
    "TOTAL_HELD": "no line is booked twice; total revenue held",
}


def _prose(sales: Sales, lens: Lens, found: Conclusion, drivers: list[Driver], anomalies: list[Anomaly]) -> str:
    said = _SENTENCES[found.answer].format(measure=lens.measure, leader=found.leader)
    earning = ", ".join(f"{driver.group} {driver.share:.0%}" for driver in drivers)
    odd = "".join(
        f"; {anomaly.invoice} ({_money(anomaly.amount * 100)}) on line{'s'[: len(anomaly.lines) > 1]} "
        f"{' and '.join(map(str, anomaly.lines))}"
        for anomaly in anomalies
    )
    return f"{sales.now} by {lens.dimension}: {said}. Top three: {earning}{odd}."


def _money(cents: float) -> str:
    return f"{cents / 100:,.2f}"
