"""From movements to a vote, and how sure of it one can be."""

from __future__ import annotations

import pytest

from reference_executors.revenue.conclusions import Conclusion, by_groups, by_total, confidence


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"a": 5, "b": 4, "c": 3}, Conclusion("GROWTH", "MOST_GROUPS_ROSE", "a")),
        ({"a": -5, "b": -4, "c": -3}, Conclusion("DECLINE", "MOST_GROUPS_FELL", "a")),
        ({"a": 9, "b": -4, "c": -3}, Conclusion("INVESTIGATE", "ONE_GROUP_MOVED_IT", "a")),
        ({"a": -9, "b": 4, "c": 3}, Conclusion("INVESTIGATE", "ONE_GROUP_MOVED_IT", "a")),
        ({"a": 9, "b": 8, "c": -1, "d": -1, "e": -1}, Conclusion("DECLINE", "MOST_GROUPS_FELL", "c")),
        ({"a": 9, "b": 8, "c": -3, "d": -4}, Conclusion("STEADY", "MIXED", "a")),
        ({"a": 0, "b": 0}, Conclusion("STEADY", "MIXED", "a")),
        ({"a": 5}, Conclusion("INVESTIGATE", "ONE_GROUP_MOVED_IT", "a")),
        ({}, Conclusion("STEADY", "MIXED")),
    ],
)
def test_one_group_that_turns_the_total_comes_first_and_then_the_majority(
    changes: dict[str, int], expected: Conclusion
) -> None:
    """The size of a group matters only where it alone moves the total."""
    assert by_groups(changes) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (500, Conclusion("GROWTH", "TOTAL_ROSE")),
        (-500, Conclusion("DECLINE", "TOTAL_FELL")),
        (99, Conclusion("STEADY", "TOTAL_HELD")),
        (-99, Conclusion("STEADY", "TOTAL_HELD")),
        (100, Conclusion("GROWTH", "TOTAL_ROSE")),
    ],
)
def test_a_total_that_moves_by_less_than_one_per_cent_has_held(change: int, expected: Conclusion) -> None:
    """Noise is not called growth."""
    assert by_total(change, before=10_000) == expected


def test_confidence_is_full_where_every_customer_says_the_same() -> None:
    """No draw can change a unanimous vote."""
    customers = [{"a": -1, "b": -1, "c": -1}] * 20

    assert confidence(customers, by_groups, seed="x", draws=200) == 1.0


def test_confidence_is_low_where_one_customer_decides() -> None:
    """A customer is missing from about 37 per cent of the draws; so is what follows from it."""
    customers = [{"a": 1000}, *[{"a": -1, "b": -1, "c": -1}] * 50]

    assert 0.58 < confidence(customers, by_groups, seed="x", draws=2000) < 0.68


def test_the_same_seed_gives_the_same_confidence() -> None:
    """A replayed step must not answer with another number."""
    customers = [{"a": 3, "b": -1}, {"b": 2}, {"a": -2, "c": 1}, {"c": -3}]

    once, again, other = (confidence(customers, by_groups, seed=seed, draws=300) for seed in ("x", "x", "y"))

    assert once == again
    assert once != other


def test_progress_is_told_a_hundred_times_and_can_stop_the_work() -> None:
    """What is raised in the callback comes out: that is how a cancelled task ends."""
    told: list[float] = []
    confidence([{"a": 1}], by_groups, seed="x", draws=1000, progress=told.append)
    assert len(told) == 100
    assert told == sorted(told)

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        confidence([{"a": 1}], by_groups, seed="x", draws=1000, progress=stop)
