"""References inside one JSON document, as JSON Schemas use them; nothing outside it is ever looked at."""

from __future__ import annotations

from urllib.parse import unquote

from executor_sdk.protocol.plain import Json

#: Digits of an index into a list.
_MAX_DIGITS = 9


def referenced(document: Json, reference: str) -> Json:
    """The part of `document` that `reference` names, `#` or `#/…` (JSON Pointer, RFC 6901), or None."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    part = document
    for step in unquote(reference).split("/")[1:]:
        part = _member(part, step.replace("~1", "/").replace("~0", "~"))
    return part


def _member(part: Json, name: str) -> Json:
    if isinstance(part, dict):
        return part.get(name)
    if isinstance(part, list) and name.isascii() and name.isdecimal() and len(name) <= _MAX_DIGITS:
        return part[int(name)] if int(name) < len(part) else None
    return None
