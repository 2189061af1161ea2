"""What can be computed from a file of sales lines: movements between two quarters, drivers, anomalies, double bookings.

Money is counted in cents, so that sums are exact; line numbers are those of the file, its header being line 1.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from statistics import median
from typing import Final, Literal

HEADER: Final = ("invoice", "date", "region", "product_line", "customer_segment", "customer", "amount", "cost")
Dimension = Literal["region", "product_line", "customer_segment"]
Measure = Literal["revenue", "contribution", "customers"]

#: A single line is worth a second look when it carries this share of its group's revenue in the quarter.
LARGE_SHARE: Final = 0.10
#: How many times the usual line of its group such a line exceeds.
LARGE_TIMES: Final = 10
QUARTERS_COMPARED: Final = 2


class NoSalesError(ValueError):
    """The file is not a table of sales lines over at least two quarters; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Line:
    """One sales line; `amount` and `cost` in cents, `quarter` as 2025-Q3."""

    number: int
    text: str
    quarter: str
    region: str
    product_line: str
    customer_segment: str
    customer: str
    invoice: str
    amount: int
    cost: int


@dataclass(frozen=True, slots=True)
class Sales:
    """The readable lines of a file, the numbers of the others, and its last two quarters."""

    lines: tuple[Line, ...]
    unreadable: tuple[int, ...]
    before: str
    now: str

    def without(self, numbers: Iterable[int]) -> Sales:
        """The same sales without the lines of these numbers."""
        gone = set(numbers)
        return Sales(tuple(e for e in self.lines if e.number not in gone), self.unreadable, self.before, self.now)

    def numbered(self, numbers: Iterable[int]) -> list[Line]:
        """The lines of these numbers, in the order of the file; numbers of no readable line are left out."""
        wanted = set(numbers)
        return [line for line in self.lines if line.number in wanted]

    def agree(self, numbers: Iterable[int]) -> bool:
        """Whether these are several lines of the file, and all of them the same in every field."""
        wanted = set(numbers)
        found = self.numbered(wanted)
        return len(found) == len(wanted) > 1 and len({line.text for line in found}) == 1

    def revenue(self, quarter: str) -> int:
        """What was sold in a quarter, in cents."""
        return sum(line.amount for line in self.lines if line.quarter == quarter)


@dataclass(frozen=True, slots=True)
class Doubles:
    """Lines of one invoice that agree in every field; `numbers[0]` is the first booking, the others repeat it."""

    invoice: str
    numbers: tuple[int, ...]
    quarter: str
    amount: int


def read_sales(data: bytes) -> Sales:
    """Read a sales file.

    Raises:
        NoSalesError: a column is missing, or there are no two quarters to compare.
    """
    rows = data.decode("utf-8", errors="replace").splitlines()
    header = tuple(rows[0].strip().split(",")) if rows else ()
    if missing := [name for name in HEADER if name not in header]:
        raise NoSalesError(f"the file has no column {', '.join(missing)}")
    lines, unreadable = [], []
    for number, text in enumerate(rows[1:], start=2):
        try:
            lines.append(_line(number, text, header))
        except (ValueError, InvalidOperation):
            unreadable.append(number)
    quarters = sorted({line.quarter for line in lines})
    if len(quarters) < QUARTERS_COMPARED:
        raise NoSalesError("the file has no two quarters to compare")
    return Sales(tuple(lines), tuple(unreadable), before=quarters[-2], now=quarters[-1])


def _line(number: int, text: str, header: tuple[str, ...]) -> Line:
    field = dict(zip(header, next(csv.reader([text])), strict=True))
    year, month = int(field["date"][:4]), int(field["date"][5:7])
    return Line(
        number=number,
        text=text,
        quarter=f"{year}-Q{(month + 2) // 3}",
        region=field["region"],
        product_line=field["product_line"],
        customer_segment=field["customer_segment"],
        customer=field["customer"],
        invoice=field["invoice"],
        amount=int(Decimal(field["amount"]) * 100),
        cost=int(Decimal(field["cost"]) * 100),
    )


#: How each measure counts the lines that one customer has in one group and quarter.
_COUNT: Final[dict[Measure, Callable[[Sequence[Line]], int]]] = {
    "revenue": lambda lines: sum(line.amount for line in lines),
    "contribution": lambda lines: sum(line.amount - line.cost for line in lines),
    "customers": lambda lines: int(bool(lines)),
}


def movements(sales: Sales, dimension: Dimension, measure: Measure) -> list[dict[str, int]]:
    """Per customer, what the measure of each group did from the quarter before to the last one."""
    held: dict[str, dict[str, dict[str, list[Line]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for line in sales.lines:
        if line.quarter in (sales.before, sales.now):
            held[line.customer][getattr(line, dimension)][line.quarter].append(line)
    count = _COUNT[measure]
    return [
        {group: count(quarters[sales.now]) - count(quarters[sales.before]) for group, quarters in groups.items()}
        for groups in held.values()
    ]


def summed(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """The change of each group, over all customers."""
    total: dict[str, int] = defaultdict(int)
    for part in parts:
        for group, change in part.items():
            total[group] += change
    return dict(sorted(total.items()))


def revenue_by_group(sales: Sales, dimension: Dimension, quarter: str) -> dict[str, int]:
    """The revenue of each group in a quarter, in cents, the largest first."""
    total: dict[str, int] = defaultdict(int)
    for line in sales.lines:
        if line.quarter == quarter:
            total[getattr(line, dimension)] += line.amount
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def large_lines(sales: Sales, dimension: Dimension) -> list[Line]:
    """Lines of the last quarter that alone carry a tenth of their group's revenue, and far exceed its usual line."""
    groups = revenue_by_group(sales, dimension, sales.now)
    last = [line for line in sales.lines if line.quarter == sales.now]
    usual = {g: median([e.amount for e in last if getattr(e, dimension) == g]) for g in groups}
    return [
        line
        for line in last
        if line.amount > LARGE_SHARE * groups[(group := getattr(line, dimension))]
        and line.amount > LARGE_TIMES * usual[group]
    ]


def double_bookings(sales: Sales) -> list[Doubles]:
    """Every line that was booked more than once: same invoice, and every other field the same too."""
    seen: dict[str, list[Line]] = defaultdict(list)
    for line in sales.lines:
        seen[line.text].append(line)
    return [
        Doubles(same[0].invoice, tuple(line.number for line in same), same[0].quarter, same[0].amount)
        for same in seen.values()
        if len(same) > 1
    ]
