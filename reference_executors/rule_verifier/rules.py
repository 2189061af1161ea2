"""The rules: what kinds there are, how they are read, and which of them an output breaks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, field_validator
from pydantic_core import SchemaError

#: Any JSON value.
Json: TypeAlias = Any
Kind = Literal["object", "array", "string", "number", "integer", "boolean", "null"]

_PYTHON: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


class _Strict(BaseModel):
    """Unknown keys are refused: a rule that nobody checks must not look as if somebody did."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleShape(_Strict):
    """The part of JSON Schema that these rules know."""

    type: Kind | None = None
    enum: list[Json] | None = None
    required: list[str] = []
    properties: dict[str, RuleShape] = {}
    items: RuleShape | None = None


class _Rule(_Strict):
    #: The reason code of a verdict that this rule fails; an author's own codes start at 1000.
    code: int = Field(ge=1000, le=65_535)
    #: The name of that code in /capabilities.
    name: str = Field(pattern="^[A-Z][A-Z0-9_]*$")


class SchemaRule(_Rule):
    """The output has this shape."""

    kind: Literal["schema"]
    shape: RuleShape

    def breach(self, output: Json) -> str | None:
        """What is wrong with `output`, or None."""
        return _misshapen(self.shape, output, "output")


class RangeRule(_Rule):
    """The number at `at` lies between two bounds, both of them allowed."""

    kind: Literal["range"]
    at: str
    minimum: float | None = None
    maximum: float | None = None

    def breach(self, output: Json) -> str | None:
        """What is wrong with `output`, or None."""
        value = _value(output, self.at)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{self.at} is not a number"
        if self.minimum is not None and value < self.minimum:
            return f"{self.at} is {value}, below {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"{self.at} is {value}, above {self.maximum:g}"
        return None


class RegexRule(_Rule):
    """The text at `at` holds this pattern, in the syntax of an engine that never backtracks."""

    kind: Literal["regex"]
    at: str
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        """A bad pattern stops the start and not a verdict."""
        try:
            _matcher(pattern)
        except SchemaError as error:
            raise ValueError(f"{pattern} is no pattern of the linear-time engine") from error
        return pattern

    def breach(self, output: Json) -> str | None:
        """What is wrong with `output`, or None."""
        value = _value(output, self.at)
        if not isinstance(value, str):
            return f"{self.at} is not a text"
        try:
            _matcher(self.pattern).validate_python(value)
        except ValidationError:
            return f"{self.at} does not match {self.pattern}"
        return None


class EvidenceRule(_Rule):
    """At least so many files are cited, and each can be read and has the digest that it is cited by."""

    kind: Literal["evidence"]
    at_least: int = Field(default=1, ge=1)

    def breach(self, cited: int) -> str | None:
        """What is wrong with a candidate that cites so many files, or None."""
        return None if cited >= self.at_least else f"{cited} files are cited, of at least {self.at_least}"


Rule = Annotated[SchemaRule | RangeRule | RegexRule | EvidenceRule, Field(discriminator="kind")]


class Broken(BaseModel):
    """A rule that does not hold, and why."""

    code: int
    sentence: str


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a JSON file; two rules with one code would give two faults one reason, so that is refused."""
    rules = TypeAdapter(tuple[Rule, ...]).validate_json(path.read_bytes())
    for what, values in (("code", [rule.code for rule in rules]), ("name", [rule.name for rule in rules])):
        if len(set(values)) < len(values):
            raise ValueError(f"{path.name}: each rule needs a {what} of its own, and these are {values}")
    return rules


def broken_rules(rules: Sequence[Rule], output: Json, cited: int) -> list[Broken]:
    """The rules that an output citing so many files breaks, in the order of the file."""
    found: list[Broken] = []
    for rule in rules:
        sentence = rule.breach(cited) if isinstance(rule, EvidenceRule) else rule.breach(output)
        if sentence is not None:
            found.append(Broken(code=rule.code, sentence=sentence))
    return found


@lru_cache
def _matcher(pattern: str) -> TypeAdapter[str]:
    constrained = Annotated[str, StringConstraints(pattern=pattern)]
    return TypeAdapter(constrained, config=ConfigDict(regex_engine="rust-regex"))


def _value(output: Json, at: str) -> Json:
    """The value at a path of keys, as in `totals.north`; None where there is none."""
    for key in at.split("."):
        output = output.get(key) if isinstance(output, dict) else None
    return output


def _misshapen(shape: RuleShape, value: Json, path: str) -> str | None:
    if shape.type is not None and not _is(shape.type, value):
        return f"{path} is not of type {shape.type}"
    if shape.enum is not None and value not in shape.enum:
        return f"{path} is none of {', '.join(map(str, shape.enum))}"
    parts: list[tuple[RuleShape, Json, str]] = []
    if isinstance(value, dict):
        if missing := [key for key in shape.required if key not in value]:
            return f"{path} has no {missing[0]}"
        parts = [(part, value[key], f"{path}.{key}") for key, part in shape.properties.items() if key in value]
    elif isinstance(value, list) and shape.items is not None:
        parts = [(shape.items, item, f"{path}[{n}]") for n, item in enumerate(value)]
    return next((fault for part in parts if (fault := _misshapen(*part))), None)


def _is(kind: Kind, value: Json) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    return whole or isinstance(value, _PYTHON[kind])
