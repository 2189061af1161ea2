"""The made-up sales of six quarters, drawn from one seed: `python generate.py` writes `sales.csv` beside this file.

A few hundred customers buy the same things quarter after quarter, with small changes; support is billed monthly, in
equal amounts. In the last quarter four things happen: most regions sell a little less, software and services earn a
little more, most segments lose more customers than they win, and one big invoice is booked a second time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

SEED: Final = 23
HEADER: Final = "invoice,date,region,product_line,customer_segment,customer,amount,cost"
QUARTERS: Final = ((2024, 2), (2024, 3), (2024, 4), (2025, 1), (2025, 2), (2025, 3))
LAST: Final = len(QUARTERS) - 1

#: Weight of each region, and what the last quarter does to its sales.
REGIONS: Final = {
    "NORTH": (0.22, 0.975),
    "SOUTH": (0.21, 0.970),
    "EAST": (0.20, 0.965),
    "WEST": (0.22, 0.990),
    "OVERSEAS": (0.15, 1.010),
}
#: Chance that a customer buys it, typical amount a quarter, cost ratio, and the last quarter's change of both.
PRODUCT_LINES: Final = {
    "HARDWARE": (0.55, 14_000, 0.74, 0.960, 1.000),
    "SOFTWARE": (0.70, 9_000, 0.32, 1.010, 0.940),
    "SERVICES": (0.50, 8_000, 0.55, 1.005, 0.955),
    "SUPPORT": (0.60, 3_000, 0.40, 1.000, 0.950),
    "TRAINING": (0.25, 2_500, 0.50, 0.990, 1.000),
}
#: Weight of each segment, size of its purchases, and how many of its customers leave and join in the last quarter.
SEGMENTS: Final = {
    "ENTERPRISE": (0.14, 3.0, 3, 1),
    "MID_MARKET": (0.24, 1.4, 5, 2),
    "SMALL_BUSINESS": (0.32, 0.6, 8, 3),
    "PUBLIC_SECTOR": (0.16, 1.2, 1, 2),
    "EDUCATION": (0.14, 0.7, 4, 1),
}
CUSTOMERS: Final = 240
#: Chance that a customer is among the leavers of its segment, while any are wanted.
LEAVING: Final = 0.35
#: The framework contract whose invoice of the last quarter is booked twice.
BIG_CUSTOMER: Final = ("C-0001", "WEST", "ENTERPRISE", "HARDWARE", 420_000.0)


@dataclass(frozen=True)
class Customer:
    """One customer: where, what kind, what is bought each quarter, and in which quarters it is there."""

    name: str
    region: str
    segment: str
    basket: dict[str, float]
    first: int
    last: int


@dataclass(frozen=True)
class Booking:
    """One line of the file without its invoice number, which follows from the order of booking."""

    date: str
    order: float
    fields: str


def sales_csv(seed: int = SEED) -> str:
    """The whole file; the same seed gives the same bytes on every machine."""
    chance = Random(seed)
    customers = list(_customers(chance))
    rows = [HEADER]
    invoice = 100_000
    for quarter in range(len(QUARTERS)):
        batch: list[str] = []
        for booking in sorted(_bookings(chance, customers, quarter), key=lambda b: (b.date, b.order)):
            invoice += 1
            batch.append(f"INV-{invoice},{booking.date},{booking.fields}")
        rows += _book_twice(batch) if quarter == LAST else batch
    return "\n".join(rows) + "\n"


def _customers(chance: Random) -> Iterator[Customer]:
    name, region, segment, line, amount = BIG_CUSTOMER
    yield Customer(name, region, segment, {line: amount}, 0, LAST)
    leavers = {segment: values[2] for segment, values in SEGMENTS.items()}
    for number in range(2, CUSTOMERS + 1):
        segment = _weighted(chance, {name: values[0] for name, values in SEGMENTS.items()})
        leaves = leavers[segment] > 0 and chance.random() < LEAVING
        leavers[segment] -= leaves
        yield _customer(chance, number, segment, first=0, last=LAST - leaves)
    number = CUSTOMERS
    for segment, (_, _, _, joiners) in SEGMENTS.items():
        for _ in range(joiners):
            number += 1
            yield _customer(chance, number, segment, first=LAST, last=LAST)


def _customer(chance: Random, number: int, segment: str, *, first: int, last: int) -> Customer:
    region = _weighted(chance, {name: values[0] for name, values in REGIONS.items()})
    size = SEGMENTS[segment][1]
    comes_or_goes = first == last or last < LAST
    basket = {
        line: amount * size * (0.5 + chance.random()) * (0.25 if comes_or_goes else 1.0)
        for line, (likely, amount, *_) in PRODUCT_LINES.items()
        if chance.random() < likely
    }
    return Customer(f"C-{number:04}", region, segment, basket or {"SUPPORT": 900.0 * size}, first, last)


def _bookings(chance: Random, customers: list[Customer], quarter: int) -> Iterator[Booking]:
    for customer in customers:
        if not customer.first <= quarter <= customer.last:
            continue
        for line, typical in customer.basket.items():
            amount, cost = _amount_and_cost(chance, customer, line, typical, quarter)
            for month in range(3) if line == "SUPPORT" else (int(chance.random() * 3),):
                share = 3 if line == "SUPPORT" else 1
                fields = ",".join((customer.region, line, customer.segment, customer.name))
                yield Booking(
                    _date(chance, quarter, month),
                    chance.random(),
                    f"{fields},{amount / share:.2f},{cost / share:.2f}",
                )


def _amount_and_cost(
    chance: Random, customer: Customer, line: str, typical: float, quarter: int
) -> tuple[float, float]:
    _, _, cost_ratio, line_change, cost_change = PRODUCT_LINES[line]
    amount = typical * (1 + 0.01 * quarter) * (0.98 + 0.04 * chance.random())
    if quarter == LAST:
        amount *= REGIONS[customer.region][1] * line_change
        cost_ratio *= cost_change
    return amount, amount * cost_ratio


def _book_twice(batch: list[str]) -> list[str]:
    """The big customer's line appears again, unchanged, where somebody booked it four hundred lines later."""
    first = next(n for n, row in enumerate(batch) if f",{BIG_CUSTOMER[0]}," in row)
    again = min(first + 400, len(batch))
    return [*batch[:again], batch[first], *batch[again:]]


def _date(chance: Random, quarter: int, month: int) -> str:
    year, number = QUARTERS[quarter]
    return f"{year}-{(number - 1) * 3 + month + 1:02}-{1 + int(chance.random() * 28):02}"


def _weighted(chance: Random, weights: dict[str, float]) -> str:
    """One of `weights`; only `random()` is drawn from, whose sequence every Python promises to keep."""
    point = chance.random() * sum(weights.values())
    *firsts, last = weights
    for name in firsts:
        point -= weights[name]
        if point < 0:
            return name
    return last


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sales.csv")
    target.write_text(sales_csv(), encoding="utf-8", newline="\n")
