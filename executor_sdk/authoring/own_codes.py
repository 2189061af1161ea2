"""An author's own reason codes: found in what a verifier names, so that /capabilities can list them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from executor_sdk.authoring.annotations import annotated_part
from executor_sdk.protocol.reason_codes import FIRST_OWN_CODE


def own_codes(function: Callable[..., Any]) -> dict[int, str]:
    """The members from 1000 on of every IntEnum that `function` names, to be listed in /capabilities."""
    return {
        int(member): member.name
        for value in _named_values(annotated_part(function))
        if inspect.isclass(value) and issubclass(value, IntEnum)
        for member in value
        if member >= FIRST_OWN_CODE
    }


def _named_values(function: Callable[..., Any]) -> Iterator[object]:
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        known = getattr(function, "__globals__", {})
        yield from (known[name] for name in _names(code) if name in known)
        for cell in getattr(function, "__closure__", None) or ():
            try:
                yield cell.cell_contents
            except ValueError:  # still empty: what it names is defined further down
                continue


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
