"""What a function's annotations mean, also when they are postponed and name classes local to another function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any, Final, get_type_hints

from executor_sdk.errors import HandlerSignatureError

#: Frames of these modules stand between the author's code and the decorator's work.
_OURS: Final = ("executor_sdk.authoring.", "executor_sdk.executor", "executor_sdk.misuse")


def resolved(function: Callable[..., Any], local_names: dict[str, Any]) -> dict[str, Any]:
    """The annotations of `function` by parameter name, `return` among them, with `Annotated` kept.

    Raises:
        HandlerSignatureError: a name in an annotation is not known at run time.
    """
    target = annotated_part(function)
    known = {**local_names, **_closed_over(target)}
    try:
        return get_type_hints(target, localns=known, include_extras=True)
    except NameError as error:
        raise HandlerSignatureError(
            f"{name_of(function)}: the annotation {error.name!r} is not known when the decorator runs; define it above "
            "the function and import it plainly, not under `if TYPE_CHECKING`"
        ) from None
    except (TypeError, SyntaxError) as error:
        raise HandlerSignatureError(
            f"{name_of(function)}: an annotation cannot be read: {error}; write a type, as `ask: Ask`"
        ) from None


def callers_locals() -> dict[str, Any]:
    """Names local to the author's functions on the stack, the innermost first in rank."""
    names: dict[str, Any] = {}
    for frame in _authors_frames():
        if frame.f_locals is not frame.f_globals:
            names = {**frame.f_locals, **names}
    return names


def annotated_part(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that bears the annotations: `__init__` of a class, `__call__` of an object, what a partial holds."""
    if isinstance(function, partial):
        return annotated_part(function.func)
    if inspect.isclass(function):
        return function.__init__
    if inspect.isroutine(function):
        return function
    return function.__call__  # type: ignore[operator, no-any-return]


def name_of(function: Callable[..., Any]) -> str:
    """How a message names `function`: its qualified name without the functions that it is local to."""
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).rpartition("<locals>.")[2]


def _authors_frames() -> Iterator[FrameType]:
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_OURS):
        frame = frame.f_back
    file = frame.f_code.co_filename if frame is not None else None
    while frame is not None and frame.f_code.co_filename == file:
        yield frame
        frame = frame.f_back


def _closed_over(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return dict(inspect.getclosurevars(function).nonlocals)
    except (TypeError, ValueError):  # built-ins, and cells that are still empty
        return {}
