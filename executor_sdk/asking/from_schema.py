"""A value that fits a JSON Schema, as simple as can be: what a form would be filled in with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor
from random import Random
from typing import Any, Final

from executor_sdk.protocol.plain import Json, referenced

#: Levels of nesting after which a recursive schema gets null.
_MAX_LEVELS: Final = 12

#: With so few levels left, chance adds nothing that a recursive schema can do without.
_DRAWN_LEVELS: Final = 6

_FORMATS: Final[Mapping[str, str]] = {
    "date": "2025-01-31",
    "date-time": "2025-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample_of(schema: Json, chance: Random | None = None, texts: Sequence[str] = ("sample",)) -> Json:
    """A value for `schema`: its examples and defaults first, else the smallest that its keywords allow.

    Patterns and dependent keywords are not solved: an author gives `examples` for those, or a samples file. With a
    `chance`, whatever the schema leaves open is drawn, text from `texts`; the same chance draws the same value.
    """
    return _Sampler(schema, chance, texts).value(schema, _MAX_LEVELS)


class _Sampler:
    """Fills in one schema; without a chance it takes the first and smallest of everything."""

    def __init__(self, root: Json, chance: Random | None, texts: Sequence[str]) -> None:
        self._root = root
        self._chance = chance
        self._texts = texts

    def value(self, schema: Json, levels: int) -> Json:
        if not isinstance(schema, dict) or levels <= 0:
            return None
        stated = self._stated(schema)
        if stated is not None:
            return stated[0]
        if isinstance(schema.get("$ref"), str):
            return self.value(referenced(self._root, schema["$ref"]), levels - 1)
        for keyword in ("anyOf", "oneOf"):
            if schema.get(keyword):
                return self.value({**_without(schema, keyword), **self._one_of(schema[keyword])}, levels - 1)
        if schema.get("allOf"):
            return self.value(_merged(schema, self._root), levels - 1)
        return self._typed(_type(schema), schema, levels)

    def _stated(self, schema: Mapping[str, Json]) -> list[Json] | None:
        """What the schema itself says a value may be, in a list because the value may be null."""
        if "const" in schema:
            return [schema["const"]]
        for keyword in ("examples", "enum"):
            if isinstance(schema.get(keyword), list) and schema[keyword]:
                return [self._pick(schema[keyword])]
        return [schema["default"]] if self._chance is None and schema.get("default") is not None else None

    def _typed(self, kind: str, schema: Mapping[str, Json], levels: int) -> Json:
        match kind:
            case "object":
                return self._object(schema, levels)
            case "array":
                return self._array(schema, levels)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return self._pick([True, False])
            case _:
                return None

    def _object(self, schema: Mapping[str, Json], levels: int) -> Json:
        properties = schema.get("properties")
        named = properties if isinstance(properties, dict) else {}
        required = [name for name in schema.get("required", ()) if isinstance(name, str)]
        optional = (name for name, part in named.items() if self._is_wanted(part, levels))
        wanted = dict.fromkeys([*required, *optional])
        return {name: self.value(named.get(name, {"type": "string"}), levels - 1) for name in wanted}

    def _array(self, schema: Mapping[str, Json], levels: int) -> Json:
        first = schema.get("prefixItems")
        if isinstance(first, list) and first:
            return [self.value(item, levels - 1) for item in first]
        least = int(schema.get("minItems", 0))
        most = schema.get("maxItems", least + 3) if levels > _DRAWN_LEVELS else least
        count = max(least, 1) if self._chance is None else self._between(least, most)
        return [self.value(schema.get("items", {"type": "string"}), levels - 1) for _ in range(min(count, 100))]

    def _string(self, schema: Mapping[str, Json]) -> str:
        text = _FORMATS.get(str(schema.get("format", "")), "") or self._pick(self._texts)
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength", len(text) + 10_000)
        return text.ljust(min(int(shortest), 10_000), "x")[: int(longest)]

    def _number(self, schema: Mapping[str, Json], *, whole: bool) -> Json:
        step = 1 if whole else 0.5
        low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None)
        high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None)
        value = low if low is not None else min(high, 1) if high is not None else 1
        if self._chance is not None:
            least = low if low is not None else value - 1_000
            value = self._between(least, high if high is not None else least + 2_000, whole=whole)
        multiple = schema.get("multipleOf")
        if multiple:
            value = -(-value // multiple) * multiple
        return int(value) if whole else value

    def _pick(self, options: Sequence[Any]) -> Any:
        return options[0] if self._chance is None else self._chance.choice(options)

    def _between(self, low: float, high: float, *, whole: bool = True) -> Any:
        assert self._chance is not None  # noqa: S101 - nobody else asks
        return self._chance.randint(ceil(low), floor(max(low, high))) if whole else self._chance.uniform(low, high)

    def _is_wanted(self, part: Json, levels: int) -> bool:
        """Whether a property that may be left out is put in."""
        if self._chance is None:
            return _has_example(part)
        return levels > _DRAWN_LEVELS and self._chance.random() < 0.5

    def _one_of(self, options: Json) -> dict[str, Json]:
        if self._chance is not None:
            option = self._pick(options)
            return option if isinstance(option, dict) else {}
        return _first_usable(options)


def _type(schema: Mapping[str, Json]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(name) for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema or "required" in schema else "string"


def _first_usable(options: Json) -> dict[str, Json]:
    usable = [option for option in options if isinstance(option, dict) and option.get("type") != "null"]
    return usable[0] if usable else {"type": "null"}


def _merged(schema: Mapping[str, Json], root: Json) -> dict[str, Json]:
    merged: dict[str, Json] = {"properties": {}, "required": []}
    for part in [_without(schema, "allOf"), *schema["allOf"]]:
        whole = referenced(root, part["$ref"]) if isinstance(part, dict) and "$ref" in part else part
        if not isinstance(whole, dict):
            continue
        merged["properties"] |= whole.get("properties", {})
        merged["required"] += whole.get("required", [])
        merged |= {key: value for key, value in whole.items() if key not in ("properties", "required")}
    if not merged["properties"] and not merged["required"]:
        del merged["properties"], merged["required"]
    return merged


def _has_example(part: Json) -> bool:
    return isinstance(part, dict) and bool(part.get("examples"))


def _without(schema: Mapping[str, Json], keyword: str) -> dict[str, Json]:
    return {key: value for key, value in schema.items() if key != keyword}
