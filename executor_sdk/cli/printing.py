"""Printing documents."""

from __future__ import annotations

import orjson

from executor_sdk.protocol.plain import Json


def pretty(document: Json) -> str:
    """JSON with two spaces of indentation, keys as they stand."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
