"""Handlers that are generators: they yield their progress, partial outputs, and last of all their result."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import reduce, wraps
from operator import or_
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.signature import ANYTHING, Shape
from executor_sdk.authoring.task import Task
from executor_sdk.errors import HandlerSignatureError, InvalidOutputError

_STREAMS: Final = (AsyncIterator, AsyncGenerator, Iterator, Generator)
_NOTHING: Final = object()


@dataclass(frozen=True)
class Progress:
    """Yielded by a generator handler: how far the work is, 0 to 1, and a note."""

    fraction: float
    note: str = ""


@dataclass(frozen=True)
class Partial:
    """Yielded by a generator handler: the output as far as it is known, as the text of a model so far.

    Anything that an output may hold; what callers are answered is the last thing yielded, whole.
    """

    output: Any


def result_type(function: Callable[..., Any], returns: Any) -> Any:
    """The type of the result among what a generator is annotated to yield.

    Raises:
        HandlerSignatureError: it yields no result.
    """
    if returns is ANYTHING:
        return ANYTHING
    yielded = get_args(returns)[:1] if get_origin(returns) in _STREAMS else ()
    if not yielded:
        raise HandlerSignatureError(
            f"{name_of(function)} is a generator; annotate what it yields, as `AsyncIterator[Progress | Finding]`"
        )
    choices = get_args(yielded[0]) if get_origin(yielded[0]) in {Union, UnionType} else yielded
    results = [choice for choice in choices if choice not in (Progress, Partial)]
    if not results:
        raise HandlerSignatureError(
            f"{name_of(function)} yields progress only; yield the output last, as `AsyncIterator[Progress | Finding]`"
        )
    return reduce(or_, results)


def collected(function: Callable[..., Any], shape: Shape, task: Task) -> Callable[..., Any]:
    """A function that runs the generator to its end, reports to `task` what it yields, and returns its result."""
    if shape is Shape.ASYNC_GENERATOR:

        @wraps(function)
        async def run(*positional: Any, **named: Any) -> Any:
            result: object = _NOTHING
            async with aclosing(function(*positional, **named)) as items:
                async for item in items:
                    result = _taken(function, task, item, result)
            return _found(function, result)

        return run

    @wraps(function)
    def run_plain(*positional: Any, **named: Any) -> Any:
        result: object = _NOTHING
        with closing(function(*positional, **named)) as items:
            for item in items:
                result = _taken(function, task, item, result)
        return _found(function, result)

    return run_plain


def _taken(function: Callable[..., Any], task: Task, item: object, result: object) -> object:
    if result is not _NOTHING:
        raise InvalidOutputError(f"{name_of(function)} yielded again after its result; yield the result last")
    match item:
        case Progress(fraction, note):
            task.progress(fraction, note)
        case Partial(output):
            task.partial(output)
        case _:
            return item
    return result


def _found(function: Callable[..., Any], result: object) -> object:
    if result is _NOTHING:
        raise InvalidOutputError(f"{name_of(function)} ended without a result; yield the output last")
    return result
