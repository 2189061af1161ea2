"""Sales files for tests: the shipped one, and small ones written line by line."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import cast

from reference_executors.revenue.sales import HEADER, Sales, double_bookings, read_sales

EXAMPLE = Path(__file__).parents[2] / "examples" / "quarterly_revenue"
SHIPPED = EXAMPLE / "sales.csv"


def generated() -> str:
    """What the generator beside the shipped file writes."""
    return cast("str", runpy.run_path(str(EXAMPLE / "generate.py"))["sales_csv"]())


def shipped() -> Sales:
    """The shipped sales, one invoice of which is booked twice."""
    return read_sales(SHIPPED.read_bytes())


def without_the_doubled_line() -> bytes:
    """The shipped file after somebody has deleted the second booking."""
    sales = shipped()
    repeats = {number for double in double_bookings(sales) for number in double.numbers[1:]}
    lines = SHIPPED.read_bytes().splitlines(keepends=True)
    return b"".join(line for number, line in enumerate(lines, start=1) if number not in repeats)


def table(*rows: str) -> bytes:
    """A sales file of these rows."""
    return "\n".join((",".join(HEADER), *rows, "")).encode()


def row(invoice: str = "I-1", date: str = "2025-07-01", customer: str = "C-1", *, amount: float = 100.0) -> str:
    """One sales line of the north, of hardware, of education; half of its amount is cost."""
    return f"{invoice},{date},NORTH,HARDWARE,EDUCATION,{customer},{amount:.2f},{amount / 2:.2f}"
