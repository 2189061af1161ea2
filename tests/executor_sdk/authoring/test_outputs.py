"""Typed outputs are checked before they leave."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from executor_sdk import Executor, InvalidOutputError, in_process


class Way(StrEnum):
    """A closed vocabulary."""

    UP = "up"


class Finding(BaseModel):
    """A typed output."""

    answer: Way
    day: date
    confidence: float = Field(0.5, ge=0, le=1)


class Packed(msgspec.Struct):
    """What msgspec writes, and pydantic does not."""

    first: Decimal


@dataclass
class Found:
    """An output as a dataclass."""

    answer: str


def executor_returning(value: Any, annotation: Any) -> Executor:
    """An executor whose handler returns `value`."""
    executor = Executor("acme", "m-1")

    def handler() -> Any:
        return value

    handler.__annotations__["return"] = annotation
    executor.execute(handler)
    return executor


@pytest.mark.parametrize(
    ("value", "annotation", "sent"),
    [
        (
            Finding(answer=Way.UP, day=date(2026, 1, 2)),
            Finding,
            {"answer": "up", "day": "2026-01-02", "confidence": 0.5},
        ),
        ({"answer": "up", "day": "2026-01-02"}, Finding, {"answer": "up", "day": "2026-01-02", "confidence": 0.5}),
        (Found("x"), Found, {"answer": "x"}),
        ({"answer": "x", "list": (1, 2)}, dict[str, Any], {"answer": "x", "list": [1, 2]}),
        (Finding(answer=Way.UP, day=date(2026, 1, 2)), Any, {"answer": "up", "day": "2026-01-02", "confidence": 0.5}),
    ],
)
def test_outputs_go_out_as_plain_json(value: Any, annotation: Any, sent: Any) -> None:
    """Whatever the author returns, as its annotation says."""
    with in_process(executor_returning(value, annotation)) as rt:
        assert rt.execute({}).answer["candidate_output"] == sent


class Loose(BaseModel):
    """A typed output with a field of any type."""

    answer: str = "x"
    more: Any = None


@pytest.mark.parametrize("annotation", [Loose, Any])
def test_a_field_of_any_type_takes_what_pydantic_alone_does_not_write(annotation: Any) -> None:
    """A struct, inside a model, whatever is annotated; null stays null."""
    value = Loose(more=[Packed(Decimal(1)), None])
    with in_process(executor_returning(value, annotation)) as rt:
        assert rt.execute({}).answer["candidate_output"] == {"answer": "x", "more": [{"first": "1"}, None]}


@pytest.mark.parametrize("annotation", [Loose, Any])
@pytest.mark.parametrize(
    ("more", "place"),
    [
        (2**64, "an integer of 65 bits at $.more"),
        ([float("nan")], "nan at $.more[0]"),
        ({"a": object()}, "an object at $.more.a"),
        ([b"\xff"], "bytes that are no UTF-8 text at $.more[0]"),
        (["\ud800"], "half of a surrogate pair at $.more[0]"),
    ],
)
def test_a_typed_output_tells_the_place_of_what_cannot_be_sent(more: object, place: str, annotation: Any) -> None:
    """As a plain one does."""
    sentence = re.escape(f"handler returned {place}: ")
    with (
        in_process(executor_returning(Loose(more=more), annotation)) as rt,
        pytest.raises(InvalidOutputError, match=sentence),
    ):
        rt.execute({})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"answer": "down", "day": "2026-01-02"}, r"output\.answer: Input should be 'up'"),
        ({"answer": "up"}, r"output\.day: Field required"),
        (
            Finding.model_construct(answer="sideways", day=date(2026, 1, 2)),  # type: ignore[arg-type]
            "handler returned a Finding: Pydantic serializer warnings",
        ),
        (None, r"handler returned None; return Finding\(\.\.\.\)"),
    ],
)
def test_an_output_that_is_not_what_the_annotation_says_is_refused(value: Any, sentence: str) -> None:
    """500: another attempt may do better; the field is named."""
    with in_process(executor_returning(value, Finding)) as rt, pytest.raises(InvalidOutputError, match=sentence):
        rt.execute({})


def test_an_output_that_the_contract_refuses_does_not_leave() -> None:
    """A plain dict cannot be checked while decorating, so it is checked now."""
    with in_process(executor_returning({"decision": "GO"}, dict[str, Any])) as rt, pytest.raises(InvalidOutputError):
        rt.execute({})


def test_the_output_comes_back_as_the_authors_type() -> None:
    """So a test compares what its author wrote."""
    finding = Finding(answer=Way.UP, day=date(2026, 1, 2))
    with in_process(executor_returning(finding, Finding)) as rt:
        assert rt.execute({}).output == finding
