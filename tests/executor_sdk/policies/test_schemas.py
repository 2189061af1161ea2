"""Full schema validation, beside a second validator and against hostile schemas."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import jsonschema
import pytest

from executor_sdk.policies.candidates import MISFIT, OutputRules
from executor_sdk.policies.compiled import CompiledSchema, compiled
from executor_sdk.policies.pattern_cost import states
from executor_sdk.policies.schema_bounds import units_by_depth
from executor_sdk.policies.schemas import SchemaError, UnusableSchemaError, minimal_fits, misfits
from executor_sdk.policies.schemas import errors as errors_by
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json
from tests.executor_sdk.protocol.recordings import recorded

_TREE: Json = {
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {
                "left": {"$ref": "#/$defs/tree"},
                "right": {"$ref": "#/$defs/tree"},
                "n": {"type": "number"},
            },
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/tree",
}

_SCHEMAS: list[Json] = [
    {},
    True,
    {"required": ["a"]},
    {"type": "integer"},
    {"type": "number", "properties": {"a": {"type": "integer"}}},
    {"type": ["object", "null"]},
    {"properties": {"a": {"type": ["integer"]}}},
    {"properties": {"a": True}},
    {"properties": {"a": {"minimum": 5, "type": "number"}}, "type": "object"},
    {"additionalProperties": False, "properties": {}},
    {"$defs": {"x": {"type": "object"}}, "$ref": "#/$defs/x"},
    {"enum": [1, "x", {"a": 1}]},
    {"const": {"a": 1}},
    {"anyOf": [{"required": ["a"]}, {"type": "array", "prefixItems": [{"const": 1}], "items": False}]},
    {"not": {"type": "string"}, "if": {"type": "object"}, "then": {"minProperties": 1}, "else": {"type": "number"}},
    {"type": "object", "patternProperties": {"^a": {"type": "integer"}}, "unevaluatedProperties": False},
    {"type": "array", "contains": {"type": "integer"}, "uniqueItems": True},
    {"pattern": "^x$", "multipleOf": 0.01},
    {"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": ["b"]}},
    {"$defs": {"n": {"$anchor": "here", "type": "null"}}, "items": {"$ref": "#here"}},
]
_VALUES: list[Json] = [None, True, 3, 3.0, 19.99, "x", [], [1], [1, 1], [[None]], {}, {"a": 1}, {"a": 7.5}, {"a": None}]


def compiled_value(schema: Json) -> CompiledSchema:
    """As `compiled`, for a schema in plain JSON."""
    return compiled(declared_bytes(schema))


def errors(schema: Json, value: Json) -> list[SchemaError]:
    """Where `value` breaks `schema`."""
    return errors_by(compiled_value(schema), value, size_bytes=len(declared_bytes(value)))


@contextmanager
def _quickly() -> Iterator[None]:
    """Generous for a busy machine, and far below what any of these inputs would cost unguarded."""
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < 5


def _multiplying(levels: int, width: int, keyword: str = "allOf") -> Json:
    defs: Json = {f"n{n}": {keyword: [{"$ref": f"#/$defs/n{n + 1}"}] * width} for n in range(levels)}
    return {"$ref": "#/$defs/n0", "$defs": {**defs, f"n{levels}": {"type": "object"}}}


def _nested(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


_UNUSABLE: list[tuple[Json, str]] = [
    ({"$ref": "http://127.0.0.1:9/x"}, "refers outside the schema"),
    ({"$ref": "file:///etc/passwd"}, "refers outside the schema"),
    ({"properties": {"a": {"$ref": "other.json#/a"}}}, "refers outside the schema"),
    ({"$dynamicRef": "https://example.test/#x"}, "refers outside the schema"),
    ({"$schema": "https://example.test/own"}, "meta-schema"),
    ({"$ref": "#/$defs/none"}, "leads to no schema"),
    ({"$ref": "#/type", "type": "object"}, "leads to no schema"),
    ({"$ref": "#none"}, "leads to no schema"),
    ({"$ref": "#"}, "applies itself"),
    ({"anyOf": [{"type": "null"}, {"allOf": [{"$ref": "#"}]}]}, "applies itself"),
    ({"items": {"$id": "https://example.test/in", "$ref": "#"}}, "nested \\$id"),
    ({"type": "weird"}, "not valid"),
    ({"required": "a"}, "not of type"),
    ({"minLength": -1}, "minimum"),
    ({"pattern": "("}, "regex"),
    ({"pattern": "(?=a)b"}, "regex"),
    ({"pattern": "((a{1000}){1000}){1000}"}, "states"),
    ({"pattern": f"a{{{'9' * 5_000}}}"}, "states"),
    ({"patternProperties": {f"^{n}": True for n in range(300)}}, "more than 256 regular expressions"),
    ({"multipleOf": 1e-300}, "multipleOf"),
    ({"allOf": [{"$ref": "#/$defs/a"}] * 1_001, "$defs": {"a": True}}, "more than 1000 references"),
    ({"allOf": [{"minimum": n} for n in range(1_001)]}, "more than 1000 schemas"),
    ({"description": "x" * 70_000}, "more than 65536 bytes"),
    ({"enum": _nested(70)}, "deeper than 64"),
    ([], "neither an object"),
    ("x", "neither an object"),
    (None, "neither an object"),
]


@pytest.mark.parametrize("schema", _SCHEMAS, ids=range(len(_SCHEMAS)))
def test_a_second_validator_agrees(schema: Json) -> None:
    """jsonschema, which is slower and written by others, says the same of every value."""
    second = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(schema)
    for value in _VALUES:
        if value != 19.99:  # jsonschema gets 19.99 as a multiple of 0.01 wrong
            assert (errors(schema, value) == []) is second.is_valid(value), value


def test_what_has_no_misfit_passes_the_kernels_minimal_check_too() -> None:
    """Every schema with every value, also where the minimal check is left out because it is implied."""
    cases = [vector["case"] for vector in recorded("policy_evaluations.jsonl.gz")]
    schemas = [*_SCHEMAS, *(case["schema"] for case in cases)]
    outputs = [*_VALUES, *(case["output"] for case in cases)]
    for schema in {declared_bytes(schema): schema for schema in schemas}.values():
        for output in {declared_bytes(output): output for output in outputs}.values():
            try:
                found = misfits(compiled_value(schema), output, size_bytes=len(declared_bytes(output)))
                in_full = errors(schema, output)
            except UnusableSchemaError:
                continue
            assert (found == []) is (in_full == [] and minimal_fits(schema, output)), (schema, output)


def test_errors_tell_where_and_what_up_to_the_limit() -> None:
    """Path and sentence; five at most."""
    schema = {"properties": {"drivers": {"items": {"type": "object", "required": ["share"]}}}}

    found = errors(schema, {"drivers": [{}, {"share": 1}, 3]})

    assert [str(error) for error in found] == [
        '$.drivers[0]: "share" is a required property',
        '$.drivers[2]: 3 is not of type "object"',
    ]
    assert len(errors(schema, {"drivers": [1] * 9})) == 5


def test_a_long_value_does_not_make_a_long_sentence() -> None:
    """Error bodies are kept to their first 512 characters."""
    found = errors({"type": "integer"}, "x" * 50_000)

    assert len(found[0].sentence) <= 300
    assert found[0].sentence.endswith('is not of type "integer"')


@pytest.mark.parametrize(("schema", "reason"), _UNUSABLE, ids=range(len(_UNUSABLE)))
def test_an_unusable_schema_is_refused_with_its_reason(schema: Json, reason: str) -> None:
    """Nothing is fetched, nothing hangs, and the second time comes from the cache."""
    for _ in range(2):
        with _quickly(), pytest.raises(UnusableSchemaError, match=reason):
            errors(schema, {})


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b'{"enum":' + b"[" * 600 + b"]" * 600 + b"}", b"[" * 5_000 + b"]" * 5_000]
)
def test_a_text_that_is_no_json_is_refused_as_a_schema(text: bytes) -> None:
    """Broken, or nested so deeply that no parser should follow."""
    with pytest.raises(UnusableSchemaError, match=r"^schema is not JSON, or "):
        compiled(text)


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_references_that_multiply_are_refused_before_they_run(keyword: str) -> None:
    """6^8 or 6^12 evaluations in a kilobyte of schema; 6^3 is still done."""
    for levels in (8, 12):
        with _quickly(), pytest.raises(UnusableSchemaError, match="too long"):
            errors(_multiplying(levels, 6, keyword), {})
    assert errors(_multiplying(3, 6), {}) == []


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_telling_where_a_value_does_not_fit_ends_in_time_too(keyword: str) -> None:
    """Each alternative is described with the errors of its branches, and those with theirs: a hundred times the work
    of telling whether."""
    for levels in (4, 6, 7):
        with _quickly():
            assert errors(_multiplying(levels, 6, keyword), 1) != []


def test_a_large_output_is_told_its_first_misfit() -> None:
    """One of many, and in a schema with alternatives only that there is one."""
    plain, alternatives = {"items": {"type": "string"}}, {"items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}

    assert [error.path for error in errors(plain, ["x", 1] * 10_000)] == ["$[1]"]
    assert [error.path for error in errors(alternatives, ["x", 1] * 10_000)] == ["$"]
    assert errors(plain, ["x"] * 20_000) == errors(alternatives, ["x"] * 20_000) == []


def test_what_multiplies_with_each_level_is_refused_by_the_levels_of_the_output() -> None:
    """3^40 on a deep output, a handful on a flat one: the same schema."""
    schema: Json = {"$defs": {"a": {"allOf": [{"items": {"$ref": "#/$defs/a"}}] * 3}}, "$ref": "#/$defs/a"}

    assert errors(schema, [[1]]) == []
    with _quickly(), pytest.raises(UnusableSchemaError, match="too long"):
        errors(schema, _nested(40))


def test_a_recursive_schema_without_multiplication_is_welcome() -> None:
    """A tree is visited once a place, however deep; its cost does not grow with the levels."""
    tree: Json = {}
    for n in range(30):
        tree = {"left": tree, "right": {"n": n}}

    assert errors(_TREE, tree) == []
    assert max(units_by_depth(_TREE)) < 5
    assert errors(_TREE, {"left": {"left": {"n": "x"}}})[0].path == "$.left.left.n"


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"pattern": "(a|aa)+$"},
        {"pattern": "(.*a){20}b"},
        {"pattern": "[ab]*a[ab]{100}c"},
        {"pattern": "[ab]*a[ab]{3000}c"},
        {"items": {"pattern": "^(a+)+$"}},
    ],
    ids=lambda schema: str(schema),
)
def test_no_regular_expression_hangs(schema: Json) -> None:
    """Catastrophic for backtracking, or for automata: a verdict or a refusal in bounded time."""
    chooser = random.Random(1)
    text = "".join(chooser.choice("ab") for _ in range(60_000))
    for value in ("a" * 60_000 + "!", text, ["a" * 30_000 + "!", "a" * 30_000]):
        with _quickly():
            try:
                errors(schema, value)
            except UnusableSchemaError as refused:
                assert "too long" in str(refused)  # noqa: PT017 - either outcome is right


def test_plain_expressions_of_everyday_schemas_are_welcome() -> None:
    """Unicode classes, counted repetition, patterns on a whole output of the largest size."""
    assert errors({"pattern": r"^\p{L}{1,5}$"}, "größe") == []
    assert errors({"pattern": r"^.{1,500}$"}, "x" * 500) == []
    assert errors({"items": {"pattern": r"^[A-Z]{2}-\d{4,8}$"}}, ["AB-12345"] * 5_000) == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", 1),
        ("abc", 3),
        (r"^a\d+$", 2),
        ("a{3,5}", 5),
        ("(?:ab){10}", 20),
        ("((a{10}){10}){10}", 1_000),
        ("[a-z{}]{2}x", 3),
        (r"\{2}", 3),
        (r"[\]]{4}", 4),
        (r"(?<year>\d{4})-", 5),
        (r"\p{L}", 60),
        (".{2}", 8),
        (")(", 1),
        ("a{", 2),
        ("[a", 1),
    ],
)
def test_states_are_counted_with_repetitions_written_out(pattern: str, expected: int) -> None:
    """An upper guess, also on texts that no compiler would take."""
    assert states(pattern) == expected


def test_an_output_too_deep_or_no_json_is_not_looked_into() -> None:
    """A recursive schema and thousands of levels would end the process."""
    rules = OutputRules.of({"output_schema": _TREE})
    for value in (_nested(65), _nested(5_000), {"a": object()}):
        [breach] = rules.breaches({"candidate_output": value, "evidence_inline": [], "evidence_refs": []})
        assert breach.rule != MISFIT


def test_enumerations_of_containers_and_wide_outputs_end_in_time() -> None:
    """Compared one by one they are quadratic; scalars are looked up."""
    lists: Json = {"items": {"enum": [[n] for n in range(2_000)]}}
    with _quickly(), pytest.raises(UnusableSchemaError, match="too long"):
        errors(lists, [[1_999]] * 8_000)

    words = {"items": {"enum": [f"w{n}" for n in range(2_000)]}}
    with _quickly():
        assert errors(words, ["w1999"] * 8_000) == []
        assert len(errors(words, ["none"] * 8_000)) == 1
