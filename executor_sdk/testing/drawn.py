"""Values that fit a JSON Schema, drawn by a seed: the same seed draws the same value on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

import jsonschema_rs

from executor_sdk.asking.from_schema import sample_of
from executor_sdk.protocol.plain import Json

#: Draws before a schema counts as one that nobody can fill in by chance.
_DRAWS: Final = 50


class UndrawableError(ValueError):
    """No value was found that fits a schema; the message says what none of them fits."""


def drawn(schema: Json, seed: str, texts: Sequence[str]) -> Json:
    """A value that fits `schema`, with text from `texts` where the schema leaves it open.

    Raises:
        UndrawableError: the schema has a pattern or another keyword that chance does not meet.
    """
    chance = Random(seed)  # noqa: S311 - meant to be foreseen
    fits = jsonschema_rs.validator_for(schema)
    value: Json = None
    for _ in range(_DRAWS):
        value = sample_of(schema, chance, texts)
        if fits.is_valid(value):
            return value
    first = next(iter(fits.iter_errors(value)))
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first.instance_path)
    raise UndrawableError(f"no value was found for ${path}: {first.message:.200}; give the schema `examples` there")
