"""Calls of the kit that cannot work, each told with the call to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_UNKNOWN: Final = re.compile(r"unexpected keyword argument ('\w+')")


class MisuseError(TypeError, ValueError):
    """The kit was called in a way that cannot work; the sentence says what to write instead.

    No ExecutorError: an author who catches those must not catch a fault of the program with them. Of both kinds that
    Python raises for wrong arguments.
    """


def is_text_of(pattern: re.Pattern[str], value: object) -> bool:
    """Whether `value` is text, and `pattern` fits the whole of it."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def called_as(example: str, *, name: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Answer a call whose arguments do not fit with `example`; Python counts arguments, `self` among them.

    `name` is what callers know the function by, where it is another name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known_as = name or function.__qualname__.removesuffix(".__init__")

        @wraps(function)
        def told(*given: P.args, **named: P.kwargs) -> R:
            try:
                return function(*given, **named)
            except TypeError as error:
                # No frame below this one: the function has not begun, so the fault is in the arguments.
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    unknown = _UNKNOWN.search(str(error))
                    what = f"has no argument {unknown[1]}" if unknown else "was called with the wrong arguments"
                    raise MisuseError(f"{known_as} {what}; write {example}") from error
                raise

        return told

    return decorate


def named(value: object) -> str:
    """How a sentence names the type of `value`, with its article."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
