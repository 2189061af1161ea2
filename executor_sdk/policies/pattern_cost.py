"""How large the automaton of a regular expression may become, counted on its text before anything is compiled."""

from __future__ import annotations

import re
from typing import Final

#: States of what stands for one character: a class of Unicode's, or all but a few characters, takes several for UTF-8.
_UNICODE_CLASS_STATES: Final = 60
_WIDE_STATES: Final = 4

#: No repetition is counted beyond this; the compiler refuses it long before.
_MAX_REPEATS: Final = 1_000_000
_MAX_STATES: Final = 1_000_000_000

_TOKEN: Final = re.compile(
    r"(?P<property>\\[pP](?:\{[^}]*\})?)"
    r"|(?P<escaped>\\.)"
    r"|(?P<characters>\[(?:\\.|[^\]\\])*+\]?)"
    r"|(?P<open>\((?:\?(?:[:=!]|<[=!]|<[^>]*>))?)"
    r"|(?P<close>\))"
    r"|\{(?P<least>[0-9]+)(?P<most>,[0-9]*)?\}"
    r"|(?P<free>[*+?|^$])"
    r"|(?P<one>.)",
    re.DOTALL,
)


def states(pattern: str) -> int:
    """An upper guess: characters, with counted repetitions written out. Never less than 1."""
    totals = [0]
    last = 0
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "open":
                totals.append(0)
                last = 0
            case "close":
                last = totals.pop() if len(totals) > 1 else 0
                totals[-1] += last
            case "least" | "most":
                repeats = max(_count(token["least"]), _count((token["most"] or "").lstrip(",")), 1)
                totals[-1] += last * (repeats - 1)
                last *= repeats
            case "free":
                pass
            case _:
                last = _character_states(token[0])
                totals[-1] += last
        totals[-1], last = min(totals[-1], _MAX_STATES), min(last, _MAX_STATES)
    return max(1, sum(totals))


def _character_states(text: str) -> int:
    unicode_classes = text.count(r"\p") + text.count(r"\P")
    if unicode_classes:
        return _UNICODE_CLASS_STATES * unicode_classes
    is_wide = text == "." or text.startswith("[^") or text in (r"\D", r"\S", r"\W")
    return _WIDE_STATES if is_wide else 1


def _count(digits: str) -> int:
    if len(digits) > len(str(_MAX_REPEATS)):
        return _MAX_REPEATS
    return int(digits or "0")
