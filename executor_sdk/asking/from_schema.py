"""A value that fits a JSON Schema, as simple as can be: what a form would be filled in with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from executor_sdk.protocol.plain import Json, referenced

#: Levels of nesting after which a recursive schema gets null.
_MAX_LEVELS: Final = 12

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


def sample_of(schema: Json) -> Json:
    """A value for `schema`: its examples and defaults first, else the smallest that its keywords allow.

    Patterns and dependent keywords are not solved: an author gives `examples` for those, or a samples file.
    """
    return _value(schema, schema, _MAX_LEVELS)


def _value(schema: Json, root: Json, levels: int) -> Json:
    if not isinstance(schema, dict) or levels <= 0:
        return None
    stated = _stated(schema)
    if stated is not None:
        return stated[0]
    if isinstance(schema.get("$ref"), str):
        return _value(referenced(root, schema["$ref"]), root, levels - 1)
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return _value({**_without(schema, keyword), **_first_usable(schema[keyword])}, root, levels - 1)
    if schema.get("allOf"):
        return _value(_merged(schema, root), root, levels - 1)
    return _typed(_type(schema), schema, root, levels)


def _stated(schema: Mapping[str, Json]) -> list[Json] | None:
    """What the schema itself says a value may be, in a list because the value may be null."""
    if "const" in schema:
        return [schema["const"]]
    for keyword in ("examples", "enum"):
        if isinstance(schema.get(keyword), list) and schema[keyword]:
            return [schema[keyword][0]]
    return [schema["default"]] if schema.get("default") is not None else None


def _typed(kind: str, schema: Mapping[str, Json], root: Json, levels: int) -> Json:
    match kind:
        case "object":
            return _object(schema, root, levels)
        case "array":
            return _array(schema, root, levels)
        case "string":
            return _string(schema)
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return True
        case _:
            return None


def _object(schema: Mapping[str, Json], root: Json, levels: int) -> Json:
    properties = schema.get("properties")
    named = properties if isinstance(properties, dict) else {}
    required = [name for name in schema.get("required", ()) if isinstance(name, str)]
    wanted = dict.fromkeys([*required, *(name for name, part in named.items() if _has_example(part))])
    return {name: _value(named.get(name, {"type": "string"}), root, levels - 1) for name in wanted}


def _array(schema: Mapping[str, Json], root: Json, levels: int) -> Json:
    first = schema.get("prefixItems")
    if isinstance(first, list) and first:
        return [_value(item, root, levels - 1) for item in first]
    count = max(int(schema.get("minItems", 1)), 1)
    return [_value(schema.get("items", {"type": "string"}), root, levels - 1) for _ in range(min(count, 100))]


def _string(schema: Mapping[str, Json]) -> str:
    text = _FORMATS.get(str(schema.get("format", "")), "sample")
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", len(text) + 10_000)
    return text.ljust(min(int(shortest), 10_000), "x")[: int(longest)]


def _number(schema: Mapping[str, Json], *, whole: bool) -> Json:
    step = 1 if whole else 0.5
    low = schema.get("minimum", schema["exclusiveMinimum"] + step if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema["exclusiveMaximum"] - step if "exclusiveMaximum" in schema else None)
    value = low if low is not None else min(high, 1) if high is not None else 1
    multiple = schema.get("multipleOf")
    if multiple:
        value = -(-value // multiple) * multiple
    return int(value) if whole else value


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
