"""Values of authors as plain JSON: what pydantic can write is written, and what it cannot is told with its place."""

from __future__ import annotations

import functools
import math
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel, Field, field_serializer

from executor_sdk.authoring.encoding import NotPlainError, encoded
from executor_sdk.protocol.plain import MAX_DEPTH, Json


class Decision(StrEnum):
    """As authors close a vocabulary."""

    GROWTH = "growth"


class Named(str, Enum):  # noqa: UP042 - as authors wrote it before StrEnum
    """A string whose str() is not its value."""

    UMLAUT = "ü"


class Level(IntEnum):
    """A number with a name."""

    HIGH = 3


class Rate(Enum):
    """A member whose value is no JSON itself."""

    FULL = Decimal("19.0")


class Share(float):
    """As numpy has them."""


class Row(BaseModel):
    """A model with an alias."""

    day: date
    total: Decimal = Field(serialization_alias="sum")
    more: Any = None


@dataclass
class Point:
    """A dataclass."""

    x: int
    seen: datetime
    row: Any = None


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: str


class Wire(msgspec.Struct, rename="camel", tag="wire"):
    """A struct, under the names and the tag that msgspec gives."""

    first_row: Any
    data: bytes = b"text"


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
DAY = date(2026, 1, 2)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Row(day=DAY, total=Decimal("1.50")), {"day": "2026-01-02", "sum": "1.50", "more": None}),
        (Point(1, NOON), {"x": 1, "seen": "2026-01-02T12:00:00Z", "row": None}),
        (Wire(Decimal(1)), {"type": "wire", "firstRow": "1", "data": "text"}),
        (Pair(1, "a"), [1, "a"]),
        (Decimal("1.50"), "1.50"),
        (NOON, "2026-01-02T12:00:00Z"),
        (DAY, "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(seconds=90), "PT1M30S"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Rate.FULL, "19.0"),
        ({3}, [3]),
        (frozenset({Rate.FULL}), ["19.0"]),
        ((1, (2,)), [1, [2]]),
        (deque([1]), [1]),
        (range(2), [0, 1]),
        ("ä".encode(), "ä"),
        (bytearray(b"x"), "x"),
        (Path("/a/b"), "/a/b"),
        (defaultdict(int, a=1), {"a": 1}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": DAY}), {"a": "2026-01-02"}),
        ({DAY: 1, 2: 3, UUID(int=1): 4}, {"2026-01-02": 1, "2": 3, "00000000-0000-0000-0000-000000000001": 4}),
        (None, None),
        ({"a": [None, True, -0.5, 2**64 - 1, -(2**63)]}, {"a": [None, True, -0.5, 2**64 - 1, -(2**63)]}),
    ],
)
def test_whatever_pydantic_can_write_is_written(value: object, plain: Json) -> None:
    """By itself, in a list, in a dict, in a model, in a dataclass and in a struct: everywhere alike."""
    assert encoded(value) == plain
    assert encoded({"a": [value]}) == {"a": [plain]}
    assert encoded(Point(1, NOON, value))["row"] == plain
    assert encoded(Row(day=DAY, total=Decimal(1), more={"deep": [value]}))["more"] == {"deep": [plain]}
    assert encoded(Wire(value))["firstRow"] == plain


def test_members_of_enums_become_their_values() -> None:
    """Validators and encoders beyond ours take exact types only."""
    plain = encoded({Decision.GROWTH: [Named.UMLAUT, Level.HIGH, Share(0.5)]})

    assert plain == {"growth": ["ü", 3, 0.5]}
    assert [type(value) for value in (*plain, *plain["growth"])] == [str, str, int, float]


async def waiting() -> None: ...
def compute() -> None: ...


def counting() -> Iterator[int]:
    """Has not begun."""
    yield 1


async def counting_later() -> AsyncIterator[int]:
    """Has not begun, either."""
    yield 1


class Array:
    """As numpy and its kind have them."""

    def tolist(self) -> list[int]:
        """Plain numbers."""
        return [1]


@dataclass
class Holder:
    """Holds what cannot be written."""

    lock: Any
    rest: list[int] = field(default_factory=list)


NO_NUMBER = "JSON has no such number; send null or leave the key out"
NO_TYPE = "JSON has no such type; send a model, a dataclass, a dict or text"
HUGE = "beyond 64 bits kernels make a float of it; send a string, str(number)"
TEXT = "send base64.b64encode(data).decode(), or keep the bytes with task.artifact(data, mime)"
PAIR = "such text cannot be sent as UTF-8; replace that part"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": [1, math.nan]}, f"nan at $.a[1]: {NO_NUMBER}"),
        ({"a": None, "b": math.nan}, f"nan at $.b: {NO_NUMBER}"),
        ({"a": math.inf}, f"inf at $.a: {NO_NUMBER}"),
        ({"a": Decimal("-Infinity")}, f"-inf at $.a: {NO_NUMBER}"),
        (Point(1, NOON, [math.nan]), f"nan at $.row[0]: {NO_NUMBER}"),
        ({"n": 2**64}, f"an integer of 65 bits at $.n: {HUGE}"),
        ({"n": -(2**63) - 1}, f"an integer of 64 bits at $.n: {HUGE}"),
        ([10**5000], f"an integer of 16610 bits at $[0]: {HUGE}"),
        (Row(day=DAY, total=Decimal(1), more=2**70), f"an integer of 71 bits at $.more: {HUGE}"),
        ({"a": {1: "x", "1": "y"}}, "two keys that become '1' at $.a: JSON keys are strings; rename one of the keys"),
        ({"a": {Holder: 1}}, "a type as a key at $.a: JSON keys are strings; make one of the key"),
        ({"a": "\ud800"}, f"half of a surrogate pair at $.a: {PAIR}"),
        ({"\ud800": 1}, f"half of a surrogate pair: {PAIR}"),
        ({"a": b"\xff"}, f"bytes that are no UTF-8 text at $.a: {TEXT}"),
        (Row(day=DAY, total=Decimal(1), more=[b"\xff"]), f"bytes that are no UTF-8 text at $.more[0]: {TEXT}"),
        ({"a": compute}, "the function compute at $.a: call the function, compute(...)"),
        ({"a": Holder}, "the class Holder at $.a: make an instance, Holder(...)"),
        ({"a": counting()}, "a generator at $.a: make a list of what it yields"),
        ({"a": counting_later()}, "an async_generator at $.a: make a list of what it yields"),
        ({"a": Array()}, "an Array at $.a: JSON has no such type; write .tolist() behind it"),
        ({"a": threading.Lock()}, f"a lock at $.a: {NO_TYPE}"),
        (functools.partial(compute), f"a partial: {NO_TYPE}"),
        ([Holder(threading.Lock())], f"a lock at $[0].lock: {NO_TYPE}"),
        (Wire([threading.Lock()]), f"a lock at $.first_row[0]: {NO_TYPE}"),
    ],
)
def test_what_json_cannot_say_is_told_with_its_place(value: object, sentence: str) -> None:
    """An encoder would write null or a float, or crash far from the cause."""
    with pytest.raises(NotPlainError) as told:
        encoded(value)

    assert str(told.value) == sentence


@pytest.mark.parametrize("inside", ["dict", "dataclass", "model", "struct"])
def test_a_forgotten_await_is_told_and_closed(inside: str) -> None:
    """All of them: Python would warn of each one later, and warnings are errors here."""
    holders: dict[str, Any] = {
        "dict": lambda value: {"a": value},
        "dataclass": Holder,
        "model": lambda value: Row(day=DAY, total=Decimal(1), more=value),
        "struct": Wire,
    }

    with pytest.raises(NotPlainError, match=r"a coroutine.*: put `await` before the call, in an `async def`"):
        encoded([holders[inside](waiting()), waiting(), {"more": (waiting(),)}])


def test_nesting_is_bounded() -> None:
    """64 levels pass, 65 do not, of whatever kind; a value that contains itself ends there too."""
    nested: Any = 1
    for _ in range(MAX_DEPTH):
        nested = [nested]
    loop: list[object] = []
    loop.append(loop)
    itself = Holder(None)
    itself.lock = itself

    assert encoded(nested) == nested
    for too_deep in ({"a": nested}, loop, itself, {DAY: nested}):
        with pytest.raises(NotPlainError, match=r"more than 64 levels at \$.*: flatten the value"):
            encoded(too_deep)


class Failing(BaseModel):
    """A model whose serializer fails for a reason of its own."""

    answer: str = "x"

    @field_serializer("answer")
    def fail(self, value: str) -> str:
        """Fail."""
        raise RuntimeError("no ink")


def test_what_a_serializer_of_the_author_raises_is_told() -> None:
    """With the type that it belongs to."""
    with pytest.raises(NotPlainError, match=r"a Failing at \$\.a: it cannot be written as JSON \(.*no ink\)"):
        encoded({"a": Failing()})
