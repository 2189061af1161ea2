"""`data:` URIs (RFC 2397), which carry the bytes that they name: small samples, without any network."""

from __future__ import annotations

import binascii
from typing import Final
from urllib.parse import unquote_to_bytes

from executor_sdk.errors import UnfetchableError

SCHEME: Final = "data"


def is_data(uri: str) -> bool:
    """Whether `uri` is such a URI."""
    return uri[: len(SCHEME) + 1].lower() == f"{SCHEME}:"


def data_in(uri: str, limit: int | None = None) -> bytes:
    """The bytes that `uri` carries, at most `limit`; its media type is not looked at.

    Raises:
        UnfetchableError: there is no comma before the data, they are no base64 but said to be, or they are too many.
    """
    head, comma, text = uri.partition(",")
    if not comma:
        raise UnfetchableError("a data URI has a comma before its data, as data:,north has")
    data = unquote_to_bytes(text)
    if head.lower().endswith(";base64"):
        try:
            data = binascii.a2b_base64(data, strict_mode=True)
        except binascii.Error:
            raise UnfetchableError("a data URI that says base64 holds something else") from None
    if limit is not None and len(data) > limit:
        raise UnfetchableError(f"a data URI has more than {limit} bytes")
    return data
