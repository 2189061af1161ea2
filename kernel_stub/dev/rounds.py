"""Rounds that did not decide: why, from the answers that were given, and what to write instead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from executor_sdk.protocol.plain import Json

#: Values named in one sentence, and characters of each.
_MAX_NAMED: Final = 5
_MAX_CHARACTERS: Final = 60

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_LITERAL: Final = 'decision: Literal["GROWTH", "DECLINE"]'


class Reason(NamedTuple):
    """Why a bucket has no value, or one by chance; and the mend."""

    because: str
    mend: str


def reason_of(
    bucket: str, overview: Mapping[str, Json], answers: Sequence[Json], *, failed: int, quorum: int
) -> Reason:
    """Why `bucket` was left open, or tied.

    Args:
        bucket: `decision` or `answer`.
        overview: the aggregation as events carry it.
        answers: what the steps that succeeded in this round have answered.
        failed: steps that did not succeed.
        quorum: equal votes that the run wants; 0 for none.
    """
    votes: Mapping[str, int] = overview[f"{bucket}_votes"]
    if overview["resolution_paths"][bucket] == "TIE_PATH":
        return _tie(bucket, votes)
    if votes:
        return _below_quorum(bucket, votes, quorum)
    if not answers:
        return Reason("no step succeeded", "mend what is said of the steps above")
    also = f", and {_count(failed, 'step')} failed" if failed else ""
    because, mend = _empty(bucket, answers)
    return Reason(because + also, mend)


def votes_shown(votes: Mapping[str, int]) -> str:
    """The votes, most first, as `GROWTH 2, DECLINE 1`."""
    ranked = sorted(votes, key=lambda value: (-votes[value], value))
    return _listed([f"{_cut(value)} {votes[value]}" for value in ranked]) or "none"


def _empty(bucket: str, answers: Sequence[Json]) -> Reason:
    """No step cast a vote: how its answers look in this place, by the commonest look."""
    looks = Counter(_look(bucket, answer) for answer in answers)
    look, number = looks.most_common(1)[0]
    because = f"`{bucket}` {_LOOKS.get(look, f'is no string but {look}')} in {number} of {len(answers)} answers"
    if bucket == "answer":
        return Reason(because, "return a string that is not blank as `answer`: every run reads it")
    if look == "missing":
        return Reason(because, f"add a field `decision` with a closed vocabulary: {_LITERAL}")
    return Reason(because, f"votes are strings that are not blank, best of a closed vocabulary: {_LITERAL}")


_LOOKS: Final[Mapping[str, str]] = {"missing": "is missing", "null": "is null", "blank": "is blank"}


def _look(bucket: str, answer: Json) -> str:
    if not isinstance(answer, dict) or bucket not in answer:
        return "missing"
    value = answer[bucket]
    if value is None:
        return "null"
    if isinstance(value, str):
        return "blank"
    return {bool: "a boolean", int: "a number", float: "a number", list: "a list"}.get(type(value), "an object")


def _below_quorum(bucket: str, votes: Mapping[str, int], quorum: int) -> Reason:
    cast, most = sum(votes.values()), max(votes.values())
    named = _listed([_cut(value) for value in votes])
    if len(votes) == 1:
        because = f"no quorum for `{bucket}`: {_count(cast, 'vote')} for {named}, and {quorum} are wanted"
        return Reason(because, "mend what is said of the steps that cast no vote")
    if len(votes) == cast:
        because = f"NO quorum for `{bucket}`: {_count(cast, 'answer')}, {_word(cast)} different strings ({named})"
    else:
        because = f"no quorum for `{bucket}`: {_count(most, 'vote')} at the most, and {quorum} are wanted ({named})"
    return Reason(because, _closer(bucket, list(votes)))


def _closer(bucket: str, values: list[str]) -> str:
    """How values that differ become equal."""
    if len({re.sub(r"[\W_]+", "", value) for value in values}) < len(values):
        return "some differ in spaces or punctuation only: votes are equal strings, so write them in one way"
    if all(_is_number(value) for value in values):
        return f"votes are equal strings: round the number, or put what it means into a closed vocabulary: {_LITERAL}"
    if bucket == "decision":
        return f"votes are equal strings: close the vocabulary with {_LITERAL}"
    return "free text is never equal: keep `answer` as short and closed as `decision`, and the text in another field"


def _tie(bucket: str, votes: Mapping[str, int]) -> Reason:
    most = max(votes.values())
    leaders = [_cut(value) for value in votes if votes[value] == most]
    because = f"`{bucket}` is tied: {' and '.join(leaders[:_MAX_NAMED])} have {_count(most, 'vote')} each"
    mend = (
        "by default a tie is drawn by lot. Return a `confidence` and let the run weigh it, tie_policy.chain "
        '["CONFIDENCE_WEIGHTED", "STOCHASTIC"]; or give agents different evidence, so that they can agree'
    )
    return Reason(because, mend)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _count(number: int, noun: str) -> str:
    return f"{_word(number)} {noun}{'' if number == 1 else 's'}"


def _word(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def _listed(values: Sequence[str]) -> str:
    rest = len(values) - _MAX_NAMED
    return ", ".join(values[:_MAX_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _cut(value: str) -> str:
    return value if len(value) <= _MAX_CHARACTERS else f"{value[:_MAX_CHARACTERS]}…"
