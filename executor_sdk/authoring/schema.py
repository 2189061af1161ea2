"""What an author's type means on the wire: its JSON Schema, reading inputs into it, and plain JSON out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError

from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.awaiting import close_unawaited
from executor_sdk.authoring.encoding import NotPlainError, encoded, in_one_line, misplaced, named, refuse_lost
from executor_sdk.authoring.signature import ANYTHING
from executor_sdk.authoring.task import KERNEL_KEYS
from executor_sdk.errors import HandlerSignatureError, InvalidInputsError, InvalidOutputError
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.integers import huge_integer, may_have_huge_integers
from executor_sdk.protocol.plain import Json, parse, referenced

#: Faults told at once; the rest only repeats them.
_TOLD: Final = 5

#: Types that stand for plain JSON: nothing is checked and every key comes through.
_PLAIN: Final = (ANYTHING, Any, object, dict, dict[str, Any], dict[str, object])


def refuse_huge_integers(text: bytes, *, root: str = "inputs") -> None:
    """Let nothing pass of which an author would see a float where the caller wrote an integer; `root` is its name.

    Raises:
        InvalidInputsError: an integer is beyond 64 bits; the message names its place.
    """
    if (found := huge_integer(text)) is not None:
        path, digits = f"{root}{found[0]}", found[1]
        told = f"an integer of {digits} digits is beyond 64 bits, so kernels read a float; send a string"
        raise InvalidInputsError(f"{path}: {told}", details={"fields": [{"path": path, "message": told}]})


class InputShape:
    """How a handler's inputs are read."""

    def __init__(self, annotation: Any, function: Callable[..., Any]) -> None:
        self._adapter = None if annotation in _PLAIN else _adapter(annotation, function)
        #: The JSON Schema published in /capabilities.
        self.schema: Json = {"type": "object"} if self._adapter is None else self._adapter.json_schema()
        if not may_be(self.schema, "object"):
            raise HandlerSignatureError(
                f"{name_of(function)}: the inputs of a run step are an object, never a bare {_kinds(self.schema)}; "
                "take a model (class Ask(BaseModel): ...) or a dict"
            )
        hidden = KERNEL_KEYS - set(properties_of(self.schema)) - set(_aliases(annotation))
        #: Keys that the type must not see; none where it passes over what it does not declare.
        self._hidden = frozenset() if _passes_over_extras(annotation) else hidden

    def read(self, inputs: Json, text: bytes) -> Any:
        """`inputs`, which came as `text`, as the author's type; a kernel's own keys only where the type declares them.

        Raises:
            InvalidInputsError: they do not fit; the message names each field by its path.
        """
        if self._adapter is None:
            return inputs
        if isinstance(inputs, dict) and not self._hidden.isdisjoint(inputs):
            text = declared_bytes({key: value for key, value in inputs.items() if key not in self._hidden})
        try:
            # As JSON, not as Python: a model with strict=True must still read a date from a string.
            return self._adapter.validator.validate_json(text)
        except ValidationError as error:
            faults = _faults(error, "inputs")
            raise InvalidInputsError(_sentence(faults), details={"fields": faults}) from None


class PayloadShape:
    """How the payload of an agent event is read."""

    def __init__(self, annotation: Any, function: Callable[..., Any]) -> None:
        self._adapter = None if annotation in _PLAIN else _adapter(annotation, function)
        #: The JSON Schema published in /capabilities; {} where the annotation says nothing.
        self.schema: Json = {} if self._adapter is None else self._adapter.json_schema()

    def read(self, text: bytes) -> Any:
        """A payload, given as JSON text, as the author's type.

        Raises:
            InvalidInputsError: it does not fit, or holds an integer beyond 64 bits.
        """
        refuse_huge_integers(text, root="payload")
        if self._adapter is None:
            return parse(text)
        try:
            return self._adapter.validator.validate_json(text)
        except ValidationError as error:
            faults = _faults(error, "payload")
            raise InvalidInputsError(_sentence(faults), details={"fields": faults}) from None


class OutputShape:
    """How a handler's return value becomes plain JSON."""

    def __init__(self, annotation: Any, function: Callable[..., Any]) -> None:
        #: How a message names what is returned, and who returns it.
        self._wanted = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        self._author = name_of(function)
        self._adapter = None if annotation in _PLAIN else _adapter(annotation, function)
        #: The JSON Schema published in /capabilities; {} where the return type says nothing.
        self.schema: Json = {} if self._adapter is None else _as_sent(self._adapter)

    def plain(self, value: object) -> Json:
        """`value` as it will be sent.

        Raises:
            InvalidOutputError: it is not of the annotated type, or not JSON; the message names the path.
        """
        try:
            if self._adapter is None:
                return encoded(value)
            return _dumped(self._adapter, self._adapter.validator.validate_python(value))
        except ValidationError as error:
            raise self._misfit(value, error) from None
        except NotPlainError as error:
            raise InvalidOutputError(f"{self._author} returned {error}") from None
        except PydanticSerializationError as error:
            raise InvalidOutputError(f"{self._author} returned {named(value)}: {in_one_line(error)}") from None

    def read(self, text: bytes) -> Any:
        """An output, given as JSON text, as the author's type again.

        Raises:
            InvalidOutputError: it does not fit.
        """
        if self._adapter is None:
            return parse(text)
        try:
            return self._adapter.validator.validate_json(text)
        except ValidationError as error:
            faults = _faults(error, "output")
            raise InvalidOutputError(_sentence(faults), details={"fields": faults}) from None

    def _misfit(self, value: object, error: ValidationError) -> InvalidOutputError:
        """What to say of a value that is not of the annotated type."""
        places = error.errors(include_url=False, include_context=False)
        close_unawaited([one["input"] for one in places])
        for one in places:
            if (told := misplaced(one["input"])) is not None:
                place = f" at {_path('$', one['loc'])}" if one["input"] is not value else ""
                return InvalidOutputError(f"{self._author} returned {told[0]}{place}: {told[1]}")
        if any(one["input"] is value for one in places) and not isinstance(value, dict):
            return InvalidOutputError(f"{self._author} returned {named(value)}; return {self._wanted}(...)")
        faults = _faults(error, "output")
        sentence = f"{self._author} returned what is no {self._wanted}: {_sentence(faults)}"
        return InvalidOutputError(sentence, details={"fields": faults})


def _dumped(adapter: TypeAdapter[Any], value: object) -> Json:
    """A validated value as plain JSON. Straight through bytes: walking over it in Python takes four times as long."""
    try:
        body = adapter.serializer.to_json(value, by_alias=True, warnings="error", fallback=encoded)
    except (PydanticSerializationError, NotPlainError):
        # They name the type only; a walk over the value finds the place.
        encoded(value)
        raise
    if b"null" not in body and not may_have_huge_integers(body):
        return parse(body)
    # Bytes say null for NaN too, and `parse` makes floats of integers; neither is to be sent as if it were meant.
    plain = adapter.dump_python(value, mode="json", by_alias=True, warnings="error", fallback=encoded)
    refuse_lost(plain, adapter.dump_python(value, by_alias=True))
    return encoded(plain)


def may_be(schema: Json, kind: str) -> bool:
    """Whether a value of the JSON type `kind` can fit `schema`, as far as its `type` keywords tell."""
    kinds = kinds_of(schema, schema)
    return kinds is None or kind in kinds or (kind == "number" and "integer" in kinds)


def kinds_of(part: Json, schema: Json) -> set[str] | None:
    """The JSON types that `part` of `schema` allows; None if it does not say."""
    part = _followed(part, schema)
    if not isinstance(part, dict):
        return None
    if isinstance(part.get("type"), str):
        return {part["type"]}
    if isinstance(part.get("type"), list):
        return set(part["type"])
    for key in ("anyOf", "oneOf"):
        if key in part:
            found = [kinds_of(one, schema) for one in part[key]]
            return None if None in found else {kind for kinds in found if kinds for kind in kinds}
    if "const" in part or "enum" in part:
        return {_kind(value) for value in part.get("enum", [part.get("const")])}
    return None


def properties_of(schema: Json) -> dict[str, Json]:
    """The properties that an object of `schema` may have, through references and alternatives."""
    return {name: part for one in _alternatives(schema, schema) for name, part in one.get("properties", {}).items()}


def always_has(schema: Json, key: str) -> bool:
    """Whether every alternative of `schema` requires `key`."""
    return all(key in one.get("required", ()) for one in _alternatives(schema, schema))


class _AsSent(GenerateJsonSchema):
    """Schemas of what is sent: a field with a default is always there, so it is required."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Only a typed dict may lack a key."""
        return field["type"] != "typed-dict-field" or super().field_is_required(field, total)


def _as_sent(adapter: TypeAdapter[Any]) -> Json:
    return adapter.json_schema(mode="serialization", schema_generator=_AsSent)


def _adapter(annotation: Any, function: Callable[..., Any]) -> TypeAdapter[Any]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        adapter.json_schema()
    except PydanticUserError as error:
        name = name_of(annotation) if isinstance(annotation, type) else repr(annotation)
        # pydantic's further sentences speak to who writes types for it.
        reason = error.message.partition(". ")[0].partition("\n")[0]
        raise HandlerSignatureError(
            f"{name_of(function)}: {name} has no JSON form ({reason}); use a pydantic model, a "
            "dataclass, a TypedDict (before Python 3.12 that of typing_extensions) or a dict"
        ) from None
    return adapter


def _alternatives(part: Json, schema: Json) -> Iterator[dict[str, Json]]:
    part = _followed(part, schema)
    choices = part.get("anyOf") or part.get("oneOf")
    if choices:
        for one in choices:
            yield from _alternatives(one, schema)
    else:
        yield part


def _passes_over_extras(annotation: Any) -> bool:
    """Whether a model neither keeps nor refuses keys that it does not declare, and no code of its author sees them."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return False
    validators = annotation.__pydantic_decorators__.model_validators.values()
    sees_all = any(validator.info.mode != "after" for validator in validators)
    return annotation.model_config.get("extra") in {None, "ignore"} and not sees_all


def _aliases(annotation: Any) -> Iterator[str]:
    """Further names under which a model takes its fields; its schema shows one of them only."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return
    config: ConfigDict = annotation.model_config
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    for name, field in annotation.model_fields.items():
        if by_name:
            yield name
        if isinstance(field.validation_alias, AliasChoices):
            yield from (choice for choice in field.validation_alias.choices if isinstance(choice, str))


def _followed(part: Json, schema: Json) -> Json:
    while isinstance(part, dict) and isinstance(part.get("$ref"), str):
        part = referenced(schema, part["$ref"]) or {}
    return part


def _kind(value: Json) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _kinds(schema: Json) -> str:
    return " or ".join(sorted(kinds_of(schema, schema) or {"value"}))


def _faults(error: ValidationError, root: str) -> list[dict[str, str]]:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [{"path": _path(root, one["loc"]), "message": one["msg"]} for one in found[:_TOLD]]


def _path(root: str, steps: tuple[int | str, ...]) -> str:
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _sentence(faults: list[dict[str, str]]) -> str:
    return "; ".join(f"{fault['path']}: {fault['message']}" for fault in faults)
