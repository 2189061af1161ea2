"""Coroutines that an author forgot to await: found in values and behind exceptions, told, and closed."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable
from types import CoroutineType
from typing import Final, TypeGuard

import msgspec
from pydantic import ValidationError

#: What to write instead.
AWAIT: Final = "put `await` before the call, in an `async def`"


def is_unawaited(value: object) -> TypeGuard[Awaitable[object]]:
    """Whether `value` stands where the result of awaiting it was meant."""
    return inspect.isawaitable(value) and not isinstance(value, type)


def close_unawaited(value: object) -> None:
    """Close all coroutines inside `value`, so that Python does not warn about each of them later, out of place."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if inspect.iscoroutine(part):
            _close(part)
        else:
            waiting.extend(_parts(part))


def unawaited_behind(error: BaseException) -> bool:
    """Whether `error` was raised because a coroutine stood where its result was meant; the coroutine is closed."""
    if isinstance(error, ValidationError):
        found = [one["input"] for one in error.errors(include_url=False, include_context=False)]
        close_unawaited(found)
        return any(is_unawaited(one) for one in found)
    if isinstance(error, AttributeError):
        return inspect.iscoroutine(error.obj) and _close(error.obj)
    return isinstance(error, TypeError) and "'coroutine'" in str(error)


def fields_of(value: object) -> dict[str, object]:
    """The fields of a model, a dataclass or a struct by name, as they are; none for anything else."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if hasattr(value, "__pydantic_fields__") or hasattr(value, "__dataclass_fields__"):
        return dict(getattr(value, "__dict__", {}))
    return {}


def _close(coroutine: CoroutineType[object, object, object]) -> bool:
    # One that has begun belongs to a task.
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()
    return True


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set | frozenset) else fields_of(value).values()
