"""What is said about a field of a run specification that has a wrong type or value."""

from __future__ import annotations

import json
from typing import Final

from pydantic_core import ErrorDetails

from executor_sdk.protocol.plain import Json

_SHOWN_CHARACTERS: Final = 40

#: By pydantic's error type: what belongs there.
_EXPECTED: Final = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number within 64 bits",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def path_of(location: tuple[int | str, ...]) -> str:
    """The place as one writes it: `agents[3].weight`; `$` for the whole."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".") or "$"


def sentence_of(detail: ErrorDetails) -> str:
    """One sentence about one wrong place; unknown names get the kernel's own."""
    got = detail["input"]
    if detail["type"] == "literal_error" and isinstance(got, str):
        return _unknown_variant(got, detail["ctx"]["expected"])
    place = path_of(detail["loc"]) if detail["loc"] else "a run specification"
    return f"{place} {_rule(detail)}, not {_shown(got)}"


def _rule(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "literal_error":
            return f"must be one of {', '.join(_quoted(context['expected']))}"
        case known:
            return _EXPECTED.get(known, "has a value that does not belong there")


def _unknown_variant(got: str, expected: str) -> str:
    names = _quoted(expected)
    wanted = " or ".join(names) if len(names) <= 2 else f"one of {', '.join(names)}"
    return f"unknown variant `{got[:_SHOWN_CHARACTERS]}`, expected {wanted}"


def _quoted(expected: str) -> list[str]:
    """The names in pydantic's list `'A', 'B' or 'C'`."""
    return [name.replace("'", "`") for name in expected.replace(" or ", ", ").split(", ")]


def _shown(got: Json) -> str:
    match got:
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            return _cut(json.dumps(got, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
