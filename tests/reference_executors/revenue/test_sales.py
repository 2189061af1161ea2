"""Reading a sales file, and what can be computed from its lines."""

from __future__ import annotations

import pytest

from reference_executors.revenue.sales import (
    NoSalesError,
    double_bookings,
    large_lines,
    movements,
    read_sales,
    revenue_by_group,
    summed,
)
from tests.reference_executors.sales_files import SHIPPED, generated, row, shipped, table


def test_the_shipped_file_is_what_the_generator_writes() -> None:
    """Whoever doubts the data can make it again."""
    assert SHIPPED.read_text(encoding="utf-8") == generated()


def test_the_shipped_file_has_thousands_of_lines_over_several_quarters() -> None:
    """It is large enough to be looked at by a program and not by eye."""
    sales = shipped()

    assert len(sales.lines) > 5000
    assert len({line.quarter for line in sales.lines}) == 6
    assert (sales.before, sales.now) == ("2025-Q2", "2025-Q3")
    assert sales.unreadable == ()


def test_exactly_one_invoice_is_booked_twice() -> None:
    """Equal amounts that are billed month after month are not taken for double bookings."""
    (double,) = double_bookings(shipped())

    first, again = double.numbers
    assert again - first > 100
    assert SHIPPED.read_text(encoding="utf-8").splitlines()[first - 1].startswith(double.invoice)


def test_money_is_exact_to_the_cent() -> None:
    """A hundred thousand times ten cents are ten thousand units, which floats do not say."""
    sales = read_sales(table(row(date="2025-04-01", amount=0.1), *[row(f"I-{n}", amount=0.1) for n in range(1000)]))

    assert sales.revenue("2025-Q3") == 1000 * 10


def test_unreadable_lines_are_counted_and_left_out() -> None:
    """A line that cannot be read is named by its number, the header being line 1."""
    sales = read_sales(table(row(date="2025-04-01"), "garbage", row(date="yesterday"), row(), row("I-2", amount=1)))

    assert sales.unreadable == (3, 4)
    assert [line.number for line in sales.lines] == [2, 5, 6]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no column invoice"),
        (b"region,amount\nnorth,5\n", "no column invoice, date"),
        (table(), "no two quarters"),
        (table(row()), "no two quarters"),
        (b"\xff\xfe\x00", "no column"),
    ],
)
def test_a_file_without_sales_is_refused_with_what_is_missing(data: bytes, says: str) -> None:
    """Neither an empty file nor one of another kind gives figures."""
    with pytest.raises(NoSalesError, match=says):
        read_sales(data)


def test_movements_compare_the_last_two_quarters_customer_by_customer() -> None:
    """Older quarters do not count; a customer who stays away is one fewer."""
    sales = read_sales(
        table(
            row(date="2024-01-01", amount=900),
            row(date="2025-04-01", amount=100),
            row(date="2025-04-01", customer="C-2", amount=40),
            row("I-3", amount=110),
        )
    )

    assert summed(movements(sales, "region", "revenue")) == {"NORTH": (110 - 140) * 100}
    assert summed(movements(sales, "region", "contribution")) == {"NORTH": (55 - 70) * 100}
    assert movements(sales, "customer_segment", "customers") == [{"EDUCATION": 0}, {"EDUCATION": -1}]


def test_revenue_by_group_is_ordered_by_size() -> None:
    """The top three are the first three."""
    groups = revenue_by_group(shipped(), "region", "2025-Q3")

    assert list(groups.values()) == sorted(groups.values(), reverse=True)
    assert sum(groups.values()) == shipped().revenue("2025-Q3")


def test_the_big_invoice_stands_out_both_times() -> None:
    """What decides the second round is already visible as two large lines in the first."""
    (double,) = double_bookings(shipped())

    assert [line.number for line in large_lines(shipped(), "region")] == list(double.numbers)


def test_lines_agree_only_if_all_of_them_exist_and_are_the_same() -> None:
    """One line is no double booking, and neither is a line that the file does not have."""
    sales = read_sales(table(row(date="2025-04-01"), row(), row(), row("I-9")))

    assert sales.agree([3, 4])
    assert not sales.agree([3])
    assert not sales.agree([3, 3])
    assert not sales.agree([3, 5])
    assert not sales.agree([3, 4, 99])
