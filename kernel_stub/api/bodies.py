"""Reading requests: bodies bounded in bytes, time and depth, then viewed with a sentence for what is wrong."""

from __future__ import annotations

from typing import Final, TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request

from executor_sdk.protocol import plain
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import WireError, view
from kernel_stub.errors import KernelError, OversizedBodyError, UnreadableRequestError

T = TypeVar("T")

#: Nesting levels. Inputs travel on some levels deeper, in the task contract, and must still fit an executor's limit.
MAX_DEPTH: Final = 32

#: Seconds within which a whole body must have come.
BODY_TIMEOUT_S: Final = 30.0

_SHAPE: Final = "Failed to deserialize the JSON body into the target type: "
_SYNTAX: Final = "Failed to parse the request body as JSON: "
_NEWLINE: Final = b"\n"

#: Sentences for which the kernel has its own words.
_KERNEL_WORDS: Final = {
    "unexpected character, expected a string key": "key must be a string",
    "Input is a zero-length, empty document": "EOF while parsing a value",
}


class UnsupportedMediaTypeError(KernelError):
    """Expected request with `Content-Type: application/json`"""

    status_code = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class UnfitBodyError(KernelError):
    """The body is JSON, but not of the shape that this call takes."""

    status_code = 422
    code = "INVALID_BODY"


class SlowBodyError(KernelError):
    """The request body did not come in time."""

    status_code = 408
    code = "BODY_TIMEOUT"


class Body:
    """A whole request body, parsed once."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        try:
            self.json: Json = plain.parse(raw, max_depth=MAX_DEPTH)
        except plain.NotJsonError as error:
            raise UnreadableRequestError(_SYNTAX + _in_kernel_words(str(error))) from None

    def view(self, kind: type[T]) -> T:
        """Read the body as `kind`.

        Raises:
            UnfitBodyError: a field is missing or has another type.
        """
        if not isinstance(self.json, dict):
            raise UnfitBodyError(f"{_SHAPE}expected an object")
        try:
            return view(self.json, kind)
        except WireError as error:
            raise self._unfit(error) from None

    def _unfit(self, error: WireError) -> UnfitBodyError:
        sentence, where = str(error), error.path
        if error.missing is not None:
            sentence, where = f"missing field `{error.missing}` at {_end_of(self._raw)}", f"$.{error.missing}"
        return UnfitBodyError(_SHAPE + sentence, details=[{"path": where, "message": error.sentence}])


async def read_body(request: Request, *, max_bytes: int, timeout_s: float = BODY_TIMEOUT_S) -> Body:
    """Take the whole body, of JSON's media type, within the bounds.

    Raises:
        UnsupportedMediaTypeError, OversizedBodyError, SlowBodyError, UnreadableRequestError: it is not so.
    """
    if not _is_json(request.headers.get("content-type", "")):
        raise UnsupportedMediaTypeError
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise OversizedBodyError(max_bytes)
    with anyio.move_on_after(timeout_s):
        return Body(await _collect(request, max_bytes))
    raise SlowBodyError


def query_int(request: Request, name: str, default: int, *, at_most: int) -> int:
    """A whole number from the query, `at_most` at the most.

    Raises:
        UnreadableRequestError: it is no such number.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise UnreadableRequestError(f"Failed to deserialize query string: {name} must be a whole number")
    return min(int(text), at_most)


async def _collect(request: Request, max_bytes: int) -> bytes:
    parts = bytearray()
    try:
        async for chunk in request.stream():
            parts += chunk
            if len(parts) > max_bytes:
                raise OversizedBodyError(max_bytes)
    except ClientDisconnect:
        raise UnreadableRequestError(f"{_SYNTAX}the caller hung up") from None
    return bytes(parts)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _in_kernel_words(complaint: str) -> str:
    """`SENTENCE: line 1 column 2 (char 1)` as `SENTENCE at line 1 column 2`."""
    sentence, colon, place = complaint.rpartition(": line ")
    if not colon:
        return complaint
    return f"{_KERNEL_WORDS.get(sentence, sentence)} at line {place.partition(' (')[0]}"


def _end_of(raw: bytes) -> str:
    """Where a reader stands when it misses a field: behind the closing brace."""
    text = raw.rstrip()
    return f"line {text.count(_NEWLINE) + 1} column {len(text.rpartition(_NEWLINE)[2])}"
