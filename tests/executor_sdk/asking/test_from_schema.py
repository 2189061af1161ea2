"""Tests of the sample inputs: each fits the schema that it was made from."""

from __future__ import annotations

import json
from random import Random

import jsonschema
import pytest

from executor_sdk.asking.from_schema import sample_of
from executor_sdk.protocol.plain import Json

SCHEMAS: list[Json] = [
    {},
    True,
    {"type": "string", "minLength": 20, "maxLength": 30},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "minimum": 3, "multipleOf": 5},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "integer", "maximum": -4},
    {"type": ["null", "integer"]},
    {"enum": ["a", "b"]},
    {"const": None},
    {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "boolean"}, "minItems": 3}]},
    {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    {"prefixItems": [{"type": "string"}, {"type": "integer"}], "type": "array"},
    {"allOf": [{"$ref": "#/$defs/a"}, {"properties": {"y": {"type": "integer"}}, "required": ["y"]}],
     "$defs": {"a": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}}},
    {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["name"],
     "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}}}}},
    {"type": "object", "properties": {"city": {"type": "string", "examples": ["Oslo"]}, "free": {}}, "required": []},
    {"required": ["anything"]},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_a_sample_fits_its_schema(schema: Json) -> None:
    """Judged by another library than the kit's."""
    jsonschema.validate(sample_of(schema), schema)


def test_an_authors_example_is_preferred() -> None:
    """It is the one value that is known to mean something."""
    schema = {"properties": {"url": {"type": "string", "examples": ["https://data.example.com/q3.json"]}}}

    assert sample_of(schema) == {"url": "https://data.example.com/q3.json"}


def test_an_endless_schema_ends() -> None:
    """A type that contains itself cannot be sampled; it is not followed for ever."""
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}}}

    assert isinstance(sample_of(schema), dict)


@pytest.mark.parametrize("reference", ["#/$defs/absent", "https://example.com/schema.json", "file:///etc/passwd"])
def test_a_reference_that_leads_nowhere_is_not_followed(reference: str) -> None:
    """And nothing is fetched."""
    assert sample_of({"$ref": reference}) is None


@pytest.mark.parametrize("schema", SCHEMAS, ids=json.dumps)
def test_drawn_values_fit_too(schema: Json) -> None:
    """And the same chance draws the same ones."""
    drawn = [sample_of(schema, Random(seed), ("", "sample", "two words")) for seed in range(50)]

    for value in drawn:
        jsonschema.validate(value, schema)
    assert drawn == [sample_of(schema, Random(seed), ("", "sample", "two words")) for seed in range(50)]


def test_what_a_schema_leaves_open_is_drawn() -> None:
    """Optional keys come and go, every alternative has its turn, and numbers keep to their bounds."""
    schema: Json = {
        "properties": {"choice": {"anyOf": [{"type": "null"}, {"enum": ["a", "b"]}]},
                       "n": {"type": "integer", "minimum": 1, "maximum": 2},
                       "many": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}},
        "required": ["choice", "n"],
    }  # fmt: skip
    drawn = [sample_of(schema, Random(seed)) for seed in range(100)]

    assert {value["choice"] for value in drawn} == {None, "a", "b"}
    assert {value["n"] for value in drawn} == {1, 2}
    assert {len(value["many"]) for value in drawn if "many" in value} == {0, 1, 2}
    assert any("many" not in value for value in drawn)
