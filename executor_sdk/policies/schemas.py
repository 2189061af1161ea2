"""Checking an output against a JSON Schema: the kernel's minimal check, and the whole that no stranger's schema turns
into a hang."""

from __future__ import annotations

from itertools import islice
from typing import Final

import jsonschema_rs
from msgspec import Struct

from executor_sdk.policies.compiled import CompiledSchema, compiled, is_refused, kept
from executor_sdk.policies.schema_bounds import UnusableSchemaError as UnusableSchemaError
from executor_sdk.protocol.plain import Json, depth
from executor_sdk.protocol.requests import MAX_OUTPUT_BYTES

#: Work that one validation may take, in units of `schema_bounds`: a tenth of a second, in which nothing else runs.
MAX_UNITS: Final = 2_000_000

#: Up to so much work, or so long a text to compile, a loop may wait: a few milliseconds. The second number is for
#: schemas with alternatives, of which an output that does not fit is told a hundred times as slowly.
_QUICK_UNITS: Final = 50_000
_QUICK_UNITS_OF_ALTERNATIVES: Final = 2_000
_QUICK_SCHEMA_BYTES: Final = 1_024

#: Telling where costs a hundred times more than telling whether: an alternative that does not fit is described with
#: the errors of all its branches, and of theirs. Up to these units every error is collected.
_ALL_ERRORS_UNITS: Final = 10_000

#: Errors that are told, and characters of each.
_MAX_ERRORS: Final = 5
_MAX_SENTENCE: Final = 300

#: By the kernel's type names. JSON's true is no number, and 3.0 is no integer there.
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


class SchemaError(Struct, frozen=True):
    """One place where a value does not fit: `path` such as `$.drivers[2].share`, and what is wrong there."""

    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}"


def minimal_fits(schema: Json, value: Json) -> bool:
    """Whether `value` fits as far as the kernel looks: top-level `type`, `required`, and each property's `type`."""
    if not isinstance(schema, dict) or not _type_fits(schema, value):
        return False
    members = value if isinstance(value, dict) else None
    return _required_fits(schema.get("required"), members) and _properties_fit(schema.get("properties"), members)


def check_usable(text: bytes) -> CompiledSchema:
    """The schema that `text` is, where an output can be checked against it and one may fit it.

    Raises:
        UnusableSchemaError: none can, whatever it is: kernels take nothing but objects for a schema, among others.
    """
    if not text.lstrip().startswith(b"{"):
        raise UnusableSchemaError("it is no object")
    schema = compiled(text)
    if schema.units_by_depth[0] > MAX_UNITS:
        raise UnusableSchemaError("checking any output against it could take too long")
    return schema


def is_costly(text: bytes, size_bytes: int) -> bool:
    """Whether an event loop should not wait while a value of `size_bytes` is checked against the schema `text`."""
    if size_bytes > MAX_OUTPUT_BYTES:
        # Told by its length alone.
        return False
    schema = kept(text)
    if schema is None:
        if not is_refused(text) and (len(text) > _QUICK_SCHEMA_BYTES or b"attern" in text):
            return True
        try:
            schema = compiled(text)
        except UnusableSchemaError:
            return False
    quick = _QUICK_UNITS if schema.first_error_is_cheap else _QUICK_UNITS_OF_ALTERNATIVES
    return schema.most_units * size_bytes > quick


def errors(schema: CompiledSchema, value: Json, *, size_bytes: int) -> list[SchemaError]:
    """Where `value` breaks `schema` by all of JSON Schema, the first few places; formats are annotations.

    `size_bytes` is the compact size of `value`, whose depth the caller has bounded.

    Raises:
        UnusableSchemaError: checking would take too long.
    """
    units = _affordable(schema, value, size_bytes)
    if schema.validator.is_valid(value):
        return []
    if units <= _ALL_ERRORS_UNITS:
        return [_told(error) for error in islice(schema.validator.iter_errors(value), _MAX_ERRORS)]
    if schema.first_error_is_cheap:
        try:
            schema.validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [_told(error)]
    return [SchemaError("$", "does not fit the schema, which is too complicated for its size to say where")]


def misfits(schema: CompiledSchema, value: Json, *, size_bytes: int) -> list[SchemaError]:
    """As `errors`, and what only the kernel's minimal check finds; empty when both let `value` pass."""
    found = errors(schema, value, size_bytes=size_bytes)
    if found or schema.implies_minimal or minimal_fits(schema.schema, value):
        return found
    sentence = "kernels compare type, required and each property's type by name; 3.0 is no integer there"
    return [SchemaError("$", sentence)]


def _affordable(schema: CompiledSchema, value: Json, size_bytes: int) -> int:
    """The most that checking `value` can take, in units; each place of it takes at least one byte."""
    units = schema.most_units * size_bytes
    if units > MAX_UNITS:
        # A schema that multiplies with each level may still be cheap for an output of few levels.
        units = max(schema.units_by_depth[: depth(value) + 1]) * size_bytes
    if units > MAX_UNITS:
        raise UnusableSchemaError("checking this output against this schema could take too long")
    return units


def _told(error: jsonschema_rs.ValidationError) -> SchemaError:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
    sentence = error.message
    if len(sentence) > _MAX_SENTENCE:
        sentence = f"{sentence[:60]} … {sentence[-(_MAX_SENTENCE - 63) :]}"
    return SchemaError(f"${path}", sentence)


def _type_fits(schema: dict[str, Json], value: Json) -> bool:
    """A list of type names is passed over, as the kernel does; an unknown name fits nothing."""
    name = schema.get("type")
    if not isinstance(name, str):
        return True
    return isinstance(value, _KINDS.get(name, ())) and (name == "boolean" or not isinstance(value, bool))


def _required_fits(required: Json, members: dict[str, Json] | None) -> bool:
    """Names that are no strings are passed over; no name at all asks for no object."""
    if isinstance(required, list):
        for name in required:
            if isinstance(name, str) and (members is None or name not in members):
                return False
    return True


def _properties_fit(properties: Json, members: dict[str, Json] | None) -> bool:
    if isinstance(properties, dict) and members is not None:
        for name, schema in properties.items():
            if name in members and isinstance(schema, dict) and not _type_fits(schema, members[name]):
                return False
    return True
