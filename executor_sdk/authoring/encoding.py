"""What an author gives, as plain JSON: everything that pydantic can write, and a sentence for everything else."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
import orjson
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from executor_sdk.authoring.awaiting import AWAIT, close_unawaited, fields_of, is_unawaited
from executor_sdk.misuse import named as named
from executor_sdk.protocol.integers import MAX_INT, MIN_INT
from executor_sdk.protocol.plain import MAX_DEPTH, Json, is_deeper, parse

#: orjson writes these by itself, but otherwise than pydantic does.
_NOT_BY_ORJSON: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

#: msgspec leaves these as they are, so that they look the same inside a struct and outside.
_NOT_BY_MSGSPEC: Final = (bytes, bytearray, memoryview, datetime, date, time, timedelta, Decimal, UUID)

#: The way to a value inside another: its parent's way and the last step; written out only when something is wrong.
_Way: TypeAlias = "tuple[_Way, str | int] | None"


class NotPlainError(ValueError):
    """A value cannot be sent as JSON. The message reads on after "returned": what stands where, and what to write."""

    def __init__(self, what: str, way: _Way, cure: str) -> None:
        super().__init__(f"{what}{_at(way)}: {cure}")


def encoded(value: object) -> Json:
    """`value` as plain JSON, as pydantic writes it: models, dataclasses, dates, Decimal, Enum, sets, at any depth.

    Bytes are UTF-8 text. A time is ISO 8601, a Decimal a string: the same inside a model and outside.

    Raises:
        NotPlainError: NaN or infinity (which would go out as null), an integer beyond 64 bits (which a kernel would
            read as a float), two keys that become one, a type that JSON does not have, or more than 64 levels.
    """
    try:
        body = orjson.dumps(value, option=_NOT_BY_ORJSON)
    except TypeError:
        return _walked(value)
    # Through bytes and back is five times as fast as a walk in Python, and what nearly all values take.
    plain = parse(body, max_depth=None)
    # NaN goes out as null, and is then not equal to what came.
    if is_deeper(body, MAX_DEPTH) or (b"null" in body and plain != value):
        return _walked(value)
    return plain


def refuse_lost(sent: Json, given: object, way: _Way = None) -> None:
    """Let no null pass where NaN or infinity was given: pydantic writes one for the other in a field of any type.

    Raises:
        NotPlainError: there is one; `given` is what `sent` was before it became JSON, item by item.
    """
    if sent is None and isinstance(given, float):
        _number(given, way)
    elif isinstance(sent, dict) and isinstance(given, Mapping):
        for (name, one), other in zip(sent.items(), given.values(), strict=False):
            refuse_lost(one, other, (way, name))
    elif isinstance(sent, list) and isinstance(given, Sequence | AbstractSet):
        for n, (one, other) in enumerate(zip(sent, given, strict=False)):
            refuse_lost(one, other, (way, n))


def misplaced(value: object) -> tuple[str, str] | None:
    """What `value` is and what to write instead, for what authors leave in place of a value; None for other things."""
    if is_unawaited(value):
        return named(value), AWAIT
    if isinstance(value, type):
        return f"the class {value.__name__}", f"make an instance, {value.__name__}(...)"
    if inspect.isroutine(value):
        return f"the function {value.__name__}", f"call the function, {value.__name__}(...)"
    if inspect.isgenerator(value) or inspect.isasyncgen(value):
        return named(value), "make a list of what it yields"
    if isinstance(value, BaseException):
        return named(value), f"raise it, raise {type(value).__name__}(...)"
    return None


def in_one_line(error: Exception) -> str:
    """What `error` says, without the line breaks that pydantic makes."""
    return " ".join(str(error).split())


def _walked(value: object) -> Json:
    try:
        return _encoded(value, None, MAX_DEPTH)
    except NotPlainError:
        close_unawaited(value)
        raise


def _encoded(value: object, way: _Way, levels: int) -> Json:
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value, way, levels)
    return _by_others(value, way, levels)


def _by_others(value: Any, way: _Way, levels: int) -> Json:
    """What pydantic or msgspec makes of a value that is neither a scalar nor a plain container."""
    if (told := misplaced(value)) is not None:
        raise NotPlainError(told[0], way, told[1])
    if isinstance(value, Decimal) and not value.is_finite():
        return _number(float(value), way)

    def inside(part: object) -> Json:
        # What the one does not know, the other may.
        if part is value:
            raise TypeError(f"{named(part)} is unknown to both")
        return _encoded(part, None, MAX_DEPTH)

    try:
        if isinstance(value, msgspec.Struct):
            plain = msgspec.to_builtins(value, builtin_types=_NOT_BY_MSGSPEC, enc_hook=inside)
        else:
            plain = to_jsonable_python(value, fallback=inside)
    except Exception as error:  # noqa: BLE001 - whatever a serializer of the author raises
        # Here or in a part of it; a look at the parts tells their place.
        below = _one_level_down(way, levels)
        for name, part in fields_of(value).items():
            _encoded(part, (way, name), below)
        raise _unwritable(value, way, error) from None
    if isinstance(value, BaseModel):
        refuse_lost(plain, value.model_dump(by_alias=True, warnings=False), way)
    return _encoded(plain, way, levels)


def _unwritable(value: object, way: _Way, error: Exception) -> NotPlainError:
    if hasattr(value, "tolist"):
        return NotPlainError(named(value), way, "JSON has no such type; write .tolist() behind it")
    if fields_of(value):
        return NotPlainError(named(value), way, f"it cannot be written as JSON ({in_one_line(error)})")
    return NotPlainError(named(value), way, "JSON has no such type; send a model, a dataclass, a dict or text")


def _text(value: str, way: _Way, levels: int = 0) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            cure = "such text cannot be sent as UTF-8; replace that part"
            raise NotPlainError("half of a surrogate pair", way, cure) from None
    # A member of an enum is a string, but not to every encoder; itself, where it is nothing more.
    return str.__str__(value)


def _itself(value: bool | None, way: _Way, levels: int) -> bool | None:
    return value


def _integer(value: int, way: _Way, levels: int) -> int:
    if not MIN_INT <= value <= MAX_INT:
        raise NotPlainError(
            f"an integer of {value.bit_length()} bits",
            way,
            "beyond 64 bits kernels make a float of it; send a string, str(number)",
        )
    return int.__int__(value)


def _number(value: float, way: _Way, levels: int = 0) -> float:
    if not math.isfinite(value):
        raise NotPlainError(str(value), way, "JSON has no such number; send null or leave the key out")
    return float.__float__(value)


def _member(value: Enum, way: _Way, levels: int) -> Json:
    return _encoded(value.value, way, levels)


def _decoded(value: bytes | bytearray | memoryview, way: _Way, levels: int) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise NotPlainError(
            "bytes that are no UTF-8 text",
            way,
            "send base64.b64encode(data).decode(), or keep the bytes with task.artifact(data, mime)",
        ) from None


def _object(value: Mapping[Any, object], way: _Way, levels: int) -> dict[str, Json]:
    below = _one_level_down(way, levels)
    found: dict[str, Json] = {}
    for key, item in value.items():
        name = _key(key, way)
        if name in found:
            raise NotPlainError(f"two keys that become {name!r}", way, "JSON keys are strings; rename one of the keys")
        found[name] = _encoded(item, (way, name), below)
    return found


def _array(value: Sequence[object] | AbstractSet[object], way: _Way, levels: int) -> list[Json]:
    below = _one_level_down(way, levels)
    return [_encoded(item, (way, n), below) for n, item in enumerate(value)]


def _one_level_down(way: _Way, levels: int) -> int:
    if levels <= 0:
        raise NotPlainError(f"more than {MAX_DEPTH} levels", way, "flatten the value; does it contain itself?")
    return levels - 1


def _key(key: object, way: _Way) -> str:
    if isinstance(key, str):
        return _text(key, way)
    try:
        (name,) = to_jsonable_python({key: None})
    except Exception:  # noqa: BLE001 - whatever the author's type raises
        raise NotPlainError(f"{named(key)} as a key", way, "JSON keys are strings; make one of the key") from None
    return _text(name, way)


#: Who writes what, in the order of asking: a StrEnum is text before it is a member of an enum.
_WRITERS: Final[tuple[tuple[Any, Callable[[Any, _Way, int], Json]], ...]] = (
    (str, _text),
    ((bool, NoneType), _itself),
    (int, _integer),
    (float, _number),
    (dict, _object),
    ((list, tuple), _array),
    (Enum, _member),
    ((bytes, bytearray, memoryview), _decoded),
    (Mapping, _object),
    ((Sequence, AbstractSet), _array),
)


def _at(way: _Way) -> str:
    steps: list[str] = []
    while way is not None:
        way, step = way
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return f" at ${''.join(reversed(steps))}" if steps else ""
