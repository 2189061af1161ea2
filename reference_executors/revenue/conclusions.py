"""From movements to a vote: one rule for every dimension, and how often it would hold for other customers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

#: Closed vocabularies: votes are counted as equal strings.
Decision = Literal["GROWTH", "DECLINE", "STEADY", "INVESTIGATE", "RESTATE"]
Answer = Literal[
    "MOST_GROUPS_ROSE", "MOST_GROUPS_FELL", "MIXED", "ONE_GROUP_MOVED_IT",
    "BOOKED_TWICE", "TOTAL_ROSE", "TOTAL_FELL", "TOTAL_HELD",
]  # fmt: skip

#: How many times the customers are drawn again; the confidence is then good to a third of a per cent.
DRAWS: Final = 20_000
#: A total that moves by less than this share of the quarter before has held.
HELD_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A vote, and the group that speaks loudest for it."""

    decision: Decision
    answer: Answer
    leader: str | None = None


def by_groups(changes: Mapping[str, int]) -> Conclusion:
    """What the changes of all groups say.

    If the total would not have moved its way without the one group that moved most, that group has to be looked at
    first. Otherwise the majority of groups decides, however large each of them is.
    """
    total = sum(changes.values())
    leader = max(changes, key=lambda group: changes[group] * _sign(total), default=None)
    if leader is None:
        return Conclusion("STEADY", "MIXED")
    if total and (total - changes[leader]) * total <= 0:
        return Conclusion("INVESTIGATE", "ONE_GROUP_MOVED_IT", leader)
    rose = sum(change > 0 for change in changes.values())
    fell = sum(change < 0 for change in changes.values())
    if 2 * rose > len(changes):
        return Conclusion("GROWTH", "MOST_GROUPS_ROSE", max(changes, key=lambda group: changes[group]))
    if 2 * fell > len(changes):
        return Conclusion("DECLINE", "MOST_GROUPS_FELL", min(changes, key=lambda group: changes[group]))
    return Conclusion("STEADY", "MIXED", leader)


def by_total(change: int, before: int) -> Conclusion:
    """What the total says, in cents, once every line has been looked at."""
    if abs(change) < HELD_SHARE * before:
        return Conclusion("STEADY", "TOTAL_HELD")
    return Conclusion("GROWTH", "TOTAL_ROSE") if change > 0 else Conclusion("DECLINE", "TOTAL_FELL")


def unheard(fraction: float) -> None:
    """Where nobody asks how far the work is."""


def confidence(
    customers: Sequence[Mapping[str, int]],
    conclude: Callable[[Mapping[str, int]], Conclusion],
    *,
    seed: str,
    draws: int = DRAWS,
    progress: Callable[[float], None] = unheard,
) -> float:
    """The share of draws, with replacement, of as many customers, in which `conclude` votes the same.

    The same customers and seed give the same share. `progress` is told the fraction done, a hundred times.
    """
    groups = sorted({group for customer in customers for group in customer})
    place = {group: n for n, group in enumerate(groups)}
    known = [[(place[group], change) for group, change in customer.items() if change] for customer in customers]
    vote = conclude(_summed(known, groups)).decision
    chance = Random(seed)  # noqa: S311 - a draw that anybody can repeat, not a secret
    agreeing = 0
    for draw in range(draws):
        if draw % max(1, draws // 100) == 0:
            progress(draw / draws)
        agreeing += conclude(_summed(chance.choices(known, k=len(known)), groups)).decision == vote
    return round(agreeing / draws, 3)


def _summed(customers: Sequence[Sequence[tuple[int, int]]], groups: Sequence[str]) -> dict[str, int]:
    sums = [0] * len(groups)
    for customer in customers:
        for group, change in customer:
            sums[group] += change
    return dict(zip(groups, sums, strict=True))


def _sign(number: int) -> int:
    return -1 if number < 0 else 1
