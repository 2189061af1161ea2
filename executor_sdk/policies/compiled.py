"""JSON Schemas that strangers send, compiled once for each distinct text; what is kept is bounded by its memory."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from threading import Lock
from typing import Final, Generic, TypeVar

import jsonschema_rs
from msgspec import Struct

from executor_sdk.policies.schema_bounds import UnusableSchemaError, compiled_bytes, units_by_depth
from executor_sdk.protocol.canonical import sorted_bytes
from executor_sdk.protocol.plain import Json, NotJsonError, parse

#: Bytes of one schema, as it came.
MAX_SCHEMA_BYTES: Final = 65_536

#: Bytes that all compiled schemas of this process together may take, and the texts that were refused.
MAX_COMPILED_BYTES: Final = 64 * 1024 * 1024
MAX_REFUSED_BYTES: Final = 4 * 1024 * 1024

#: Finite automata instead of backtracking: time is linear in the text. Each of the two automata of an expression may
#: take `size_limit` bytes when compiled, and later `dfa_size_limit` for the states that it has met.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1024 * 1024, dfa_size_limit=128 * 1024)

#: A schema that has none of these, and few units of work, tells its first error cheaply.
_ALTERNATIVES: Final = (b'"anyOf"', b'"oneOf"', b'"not"', b'"if"')
_FEW_UNITS: Final = 64

_MAX_SENTENCE: Final = 300
_DIGEST_BYTES: Final = 16


V = TypeVar("V")


class CostCache(Generic[V]):
    """Values by text; once all together cost too much, the least recently used are dropped. Safe between threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = 0
        self._values: OrderedDict[bytes, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, text: bytes) -> V | None:
        """The value of `text`, which is now the last to be dropped; None where it is not kept."""
        # No lock on the request path: each step is one step for other threads too, and a value dropped between the
        # two is told as not kept.
        try:
            value, _ = self._values[text]
            self._values.move_to_end(text)
        except KeyError:
            return None
        return value

    def add(self, text: bytes, value: V, *, cost_bytes: int) -> None:
        """Keep `value`, unless it alone costs more than the whole cache may."""
        if cost_bytes > self.max_bytes:
            return
        with self._lock:
            # Two threads may have made the same value at the same time.
            if text in self._values:
                return
            self._values[text] = value, cost_bytes
            self.total_bytes += cost_bytes
            while self.total_bytes > self.max_bytes:
                _, (_, freed_bytes) = self._values.popitem(last=False)
                self.total_bytes -= freed_bytes

    def __contains__(self, text: bytes) -> bool:
        return text in self._values


class CompiledSchema(Struct, frozen=True):
    """A schema, its validator, and what is known of both before an output is there."""

    schema: Json
    #: The same for all texts of one schema, whatever their white space and the order of their keys.
    digest: str
    validator: jsonschema_rs.Validator
    units_by_depth: tuple[int, ...]
    most_units: int
    #: Whether what passes the validator passes the kernel's minimal check too.
    implies_minimal: bool
    first_error_is_cheap: bool
    cost_bytes: int


_COMPILED: Final[CostCache[CompiledSchema]] = CostCache(MAX_COMPILED_BYTES)
_REFUSED: Final[CostCache[str]] = CostCache(MAX_REFUSED_BYTES)


def compiled(text: bytes) -> CompiledSchema:
    """The schema that `text` is.

    Raises:
        UnusableSchemaError: it is none, or beyond a bound; refusals are remembered too.
    """
    if len(text) > MAX_SCHEMA_BYTES:
        raise UnusableSchemaError(f"schema has more than {MAX_SCHEMA_BYTES} bytes")
    if (found := kept(text)) is not None:
        return found
    if (refused := _REFUSED.get(text)) is not None:
        raise UnusableSchemaError(refused)
    try:
        made = _compile(text)
    except (UnusableSchemaError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        sentence = str(error).partition("\n")[0][:_MAX_SENTENCE]
        _REFUSED.add(text, sentence, cost_bytes=len(text) + 1_024)
        raise UnusableSchemaError(sentence) from None
    _COMPILED.add(text, made, cost_bytes=made.cost_bytes)
    return made


def kept(text: bytes) -> CompiledSchema | None:
    """The schema that `text` is, if it is compiled already."""
    return _COMPILED.get(text)


def is_refused(text: bytes) -> bool:
    """Whether it is known already that `compiled` refuses `text`."""
    return len(text) > MAX_SCHEMA_BYTES or text in _REFUSED


def _compile(text: bytes) -> CompiledSchema:
    try:
        schema = parse(text)
    except NotJsonError as error:
        raise UnusableSchemaError(f"schema is not JSON, or {error}") from None
    if not isinstance(schema, (dict, bool)):
        raise UnusableSchemaError("schema is neither an object nor true or false")
    units = units_by_depth(schema) if isinstance(schema, dict) else (1,)
    cost_bytes = compiled_bytes(schema, text)
    if cost_bytes > MAX_COMPILED_BYTES:
        raise UnusableSchemaError(f"compiled, the schema could take more than {MAX_COMPILED_BYTES} bytes of memory")
    validator = jsonschema_rs.validator_for(schema, pattern_options=_PATTERNS, offline=True, validate_formats=False)
    return CompiledSchema(
        schema,
        digest=blake2b(sorted_bytes(schema), digest_size=_DIGEST_BYTES).hexdigest(),
        validator=validator,
        units_by_depth=units,
        most_units=max(units),
        implies_minimal=_implies_minimal(schema),
        first_error_is_cheap=max(units) <= _FEW_UNITS and not any(keyword in text for keyword in _ALTERNATIVES),
        cost_bytes=cost_bytes,
    )


def _implies_minimal(schema: Json) -> bool:
    """In today's draft the two differ on integers, and on `required` where another type than object is let in; older
    drafts pass over what stands beside a reference."""
    if not isinstance(schema, dict) or "$schema" in schema:
        return False
    if "required" in schema and schema.get("type") != "object":
        return False
    properties = schema.get("properties")
    typed = [schema, *(properties.values() if isinstance(properties, dict) else [])]
    return not any(isinstance(part, dict) and part.get("type") == "integer" for part in typed)
