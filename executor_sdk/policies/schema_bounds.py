"""What a JSON Schema from a stranger may cost: static bounds, worked out before anything is compiled.

Validators follow every applicator of a schema, so `allOf` of references to `allOf` of references multiplies: a page of
JSON can keep a processor busy for hours, and nothing can interrupt it. So the multiplication is done here, on the
schema alone: for each depth of an output, how many units of work can fall on one place of that depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final, TypeAlias

from executor_sdk.policies.pattern_cost import states
from executor_sdk.protocol.plain import MAX_DEPTH, Json, depth, referenced

#: Schemas and references in one document, and states of all its regular expressions (each takes 6 µs to compile,
#: and nothing else runs meanwhile).
MAX_SUBSCHEMAS: Final = 1_000
MAX_REFERENCES: Final = 1_000
MAX_PATTERNS: Final = 256
MAX_PATTERN_STATES: Final = 10_000

#: Divisors outside these bounds need arithmetic on hundreds of digits.
MIN_DIVISOR: Final = 1e-12
MAX_DIVISOR: Final = 1e15

#: Units of work on one place of an output; beyond it the exact figure says nothing any more.
_MAX_UNITS: Final = 1_000_000_000

#: Units of the keywords that cost more than a look: measured, one unit is about 0.05 µs for each byte of an output.
#: Divisors cost three times as much where the numbers are like 1e-300.
_STATES_A_UNIT: Final = 6
_MULTIPLE_OF_UNITS: Final = 25
_CONTAINER_OPTION_UNITS: Final = 10
_NAMES_A_UNIT: Final = 4

#: Memory of compiled schemas: of each; for each byte of its text and each object in it; for each regular expression
#: and each of its states, when it is compiled and again for the sets of states that it meets in texts, both up to
#: the limits of the compiler, in two automata and two threads.
_SCHEMA_BYTES: Final = 16_384
_TEXT_BYTES: Final = 80
_OBJECT_BYTES: Final = 1_000
_PATTERN_BYTES: Final = 10_000
_STATE_BYTES: Final = 1_400
_MAX_PROGRAM_BYTES: Final = 2 * 1024 * 1024
_MET_BYTES: Final = 16_384
_MAX_MET_BYTES: Final = 512 * 1024

_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")

Schema: TypeAlias = dict[str, Any]


class UnusableSchemaError(ValueError):
    """The schema is no JSON Schema, refers outside itself, or could cost too much; the message says which."""


def units_by_depth(schema: Schema) -> tuple[int, ...]:
    """Work that can fall on one place of an output at depth 0, 1, 2, …; ends where the schema has nothing to say.

    Raises:
        UnusableSchemaError: the schema is beyond a bound, refers outside itself, or to itself without descending.
    """
    if depth(schema) > MAX_DEPTH:
        raise UnusableSchemaError(f"schema is nested deeper than {MAX_DEPTH} levels")
    ordered = _dependencies_first(schema, _Document(schema))
    units: list[int] = []
    found = _level(ordered, {}, is_root=True)
    for _ in range(MAX_DEPTH + 1):
        units.append(found[id(schema)])
        above, found = found, _level(ordered, found, is_root=False)
        # Nothing below, or the same work on every level from here on.
        if not 0 < units[-1] < _MAX_UNITS or found == above:
            break
    return tuple(units)


def compiled_bytes(schema: Json, text: bytes) -> int:
    """Memory that `schema` may take once it is compiled and has been used: an upper guess."""
    patterns = [pattern for part in _every_object(schema) for pattern in _patterns(part)]
    frame = _SCHEMA_BYTES + _TEXT_BYTES * len(text) + _OBJECT_BYTES * text.count(b"{")
    return frame + sum(map(_pattern_bytes, patterns))


class _Document:
    """One schema document: counts what is bounded, and finds what a reference names, inside and nowhere else."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._own_uri = str(root.get("$id", root.get("id", ""))).rstrip("#")
        self._anchors: dict[str, Schema] = {}
        references = nested_ids = 0
        patterns: list[str] = []
        for schema in _every_object(root):
            references += sum(isinstance(schema.get(keyword), str) for keyword in _REFERENCES)
            patterns += _patterns(schema)
            nested_ids += schema is not root and isinstance(schema.get("$id"), str)
            _check_divisor(schema.get("multipleOf"))
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(schema.get(keyword), str):
                    self._anchors[schema[keyword]] = schema
        _check_bound("references", references, MAX_REFERENCES)
        _check_bound("regular expressions", len(patterns), MAX_PATTERNS)
        _check_bound("states in its regular expressions", sum(map(states, patterns)), MAX_PATTERN_STATES)
        if references and nested_ids:
            raise UnusableSchemaError("a nested $id changes what references mean; leave it out")

    def targets(self, schema: Schema) -> Iterator[Json]:
        """What the references of `schema` lead to."""
        for keyword in _REFERENCES:
            if isinstance(reference := schema.get(keyword), str):
                yield self._find(reference)

    def _find(self, reference: str) -> Json:
        document, _, fragment = reference.partition("#")
        if document not in ("", self._own_uri):
            raise UnusableSchemaError(f"$ref {reference[:100]!r} refers outside the schema, and nothing is fetched")
        is_anchor = fragment[:1] not in ("", "/")
        target = self._anchors.get(fragment) if is_anchor else referenced(self._root, f"#{fragment}")
        if not isinstance(target, (dict, bool)):
            raise UnusableSchemaError(f"$ref {reference[:100]!r} leads to no schema")
        return target


class _Node:
    """One schema: its own work, what it applies to the same place, and what it applies to the places below."""

    def __init__(self, schema: Schema, document: _Document) -> None:
        self.schema = schema
        self.own = _own_units(schema)
        #: Unevaluated keywords ask their neighbours a second time.
        self.repeats = 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        self.here = _objects(chain(_applied_here(schema), document.targets(schema)))
        #: For the members of an object, then for the items of an array: (each of these, one of these).
        self.below = (_applied_to_members(schema), _applied_to_items(schema))

    def children(self) -> Iterator[Schema]:
        for each, one in self.below:
            yield from each
            yield from one


def _dependencies_first(root: Schema, document: _Document) -> list[_Node]:
    """Every schema that `root` can apply, each after those that it applies to the same place."""
    ordered: list[_Node] = []
    nodes: dict[int, _Node] = {}
    is_finished: set[int] = set()
    stack = [(root, False)]
    while stack:
        schema, is_leaving = stack.pop()
        if is_leaving:
            is_finished.add(id(schema))
            ordered.append(nodes[id(schema)])
            # A place further down starts a walk of its own: below everything that is still on the way.
            stack[:0] = [(child, False) for child in nodes[id(schema)].children() if id(child) not in nodes]
        elif id(schema) not in nodes:
            nodes[id(schema)] = node = _Node(schema, document)
            _check_bound("schemas", len(nodes), MAX_SUBSCHEMAS)
            if any(id(target) in nodes and id(target) not in is_finished for target in node.here):
                raise UnusableSchemaError("schema applies itself to the same place again, without end")
            stack.append((schema, True))
            stack.extend((target, False) for target in node.here)
    return ordered


def _level(ordered: list[_Node], above: dict[int, int], *, is_root: bool) -> dict[int, int]:
    """Units on one place, for each schema, at the next depth; `above` holds those of the depth before."""
    kinds: dict[int, tuple[int, int]] = {}
    for node in ordered:
        own = [node.own, node.own] if is_root else [_below_units(kind, above) for kind in node.below]
        for target in node.here:
            in_object, in_array = kinds[id(target)]
            own[0] += in_object * node.repeats
            own[1] += in_array * node.repeats
        kinds[id(node.schema)] = (min(own[0], _MAX_UNITS), min(own[1], _MAX_UNITS))
    return {key: max(units) for key, units in kinds.items()}


def _below_units(kind: tuple[list[Schema], list[Schema]], above: dict[int, int]) -> int:
    each, one = kind
    return sum(above.get(id(child), 0) for child in each) + max((above.get(id(child), 0) for child in one), default=0)


def _own_units(schema: Schema) -> int:
    units = 1 + len(_listing(schema, "required")) // _NAMES_A_UNIT
    units += sum(1 + states(pattern) // _STATES_A_UNIT for pattern in _patterns(schema))
    units += _MULTIPLE_OF_UNITS * ("multipleOf" in schema)
    options = _listing(schema, "enum")
    if any(isinstance(option, (dict, list)) for option in options):
        return units + _CONTAINER_OPTION_UNITS * len(options)
    # Strings alone are looked up; other scalars are compared one by one.
    return units if all(isinstance(option, str) for option in options) else units + len(options)


def _patterns(schema: Schema) -> list[str]:
    pattern = schema.get("pattern")
    return [*([pattern] if isinstance(pattern, str) else []), *_mapping(schema, "patternProperties")]


def _applied_here(schema: Schema) -> Iterator[Json]:
    for keyword in ("not", "if", "then", "else"):
        yield schema.get(keyword)
    for keyword in ("allOf", "anyOf", "oneOf"):
        yield from _listing(schema, keyword)
    for keyword in ("dependentSchemas", "dependencies"):
        yield from _mapping(schema, keyword).values()


def _applied_to_members(schema: Schema) -> tuple[list[Schema], list[Schema]]:
    others = (schema.get(keyword) for keyword in ("additionalProperties", "unevaluatedProperties", "propertyNames"))
    return (
        _objects(chain(_mapping(schema, "patternProperties").values(), others)),
        _objects(_mapping(schema, "properties").values()),
    )


def _applied_to_items(schema: Schema) -> tuple[list[Schema], list[Schema]]:
    keywords = ("items", "additionalItems", "contains", "unevaluatedItems")
    return (
        _objects(schema.get(keyword) for keyword in keywords),
        _objects(chain(_listing(schema, "prefixItems"), _listing(schema, "items"))),
    )


def _pattern_bytes(pattern: str) -> int:
    count = states(pattern)
    return _PATTERN_BYTES + min(_STATE_BYTES * count, _MAX_PROGRAM_BYTES) + min(_MET_BYTES * count, _MAX_MET_BYTES)


def _every_object(root: Json) -> Iterator[Schema]:
    level: list[Json] = [root] if isinstance(root, dict) else []
    while level:
        yield from (value for value in level if isinstance(value, dict))
        children = chain.from_iterable(v.values() if isinstance(v, dict) else v for v in level)
        level = [child for child in children if isinstance(child, (dict, list))]


def _check_bound(what: str, count: int, bound: int) -> None:
    if count > bound:
        raise UnusableSchemaError(f"schema has more than {bound} {what}")


def _check_divisor(divisor: Json) -> None:
    if isinstance(divisor, (int, float)) and divisor > 0 and not MIN_DIVISOR <= divisor <= MAX_DIVISOR:
        raise UnusableSchemaError(f"multipleOf {divisor} is not between {MIN_DIVISOR} and {MAX_DIVISOR}")


def _objects(values: Iterable[Json]) -> list[Schema]:
    return [value for value in values if isinstance(value, dict)]


def _mapping(schema: Schema, keyword: str) -> dict[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _listing(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []
