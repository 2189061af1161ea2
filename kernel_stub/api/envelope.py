"""The one shape of every answer: `ok` first, then what was asked for, or the error's sentence and code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from executor_sdk.protocol.plain import Json
from executor_sdk.serving.refusals import Refusal
from kernel_stub.errors import KernelError

_CODES: Final = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


def success(**facts: Json) -> Response:
    """200 with `"ok": true` and the facts in the order given."""
    return _answer(200, {"ok": True, **facts})


def failure(status: int, sentence: str, code: str, *, details: Json = None, **headers: str) -> Response:
    """The error envelope; `details` only where there are any."""
    body = _failed(sentence, code)
    if details is not None:
        body["details"] = details
    return _answer(status, body, headers)


def refusal_body(refusal: Refusal) -> bytes:
    """The error envelope of what the server itself refuses."""
    return orjson.dumps(_failed(refusal.message, refusal.code))


async def kernel_failure(_: Request, error: Exception) -> Response:
    """The answer to a refusal of ours."""
    assert isinstance(error, KernelError)  # noqa: S101 - registered for this class only
    return failure(error.status_code, error.sentence, error.code, details=error.details)


async def http_failure(request: Request, error: Exception) -> Response:
    """The answer to what no route takes."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    path = request.scope["path"]
    sentence = {404: f"no such path: {path}", 405: f"{path} does not take {request.method}"}.get(error.status_code)
    code = _CODES.get(error.status_code, "REQUEST_REFUSED")
    return failure(error.status_code, sentence or error.detail, code, **dict(error.headers or {}))


async def crash(_: Request, __: Exception) -> Response:
    """The answer to a fault of ours. The server logs the traceback, which Starlette raises on; the wire has none."""
    return failure(500, "internal error", "INTERNAL_ERROR")


def _failed(sentence: str, code: str) -> dict[str, Json]:
    return {"ok": False, "error": sentence, "code": code}


def _answer(status: int, body: Json, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers=headers, media_type="application/json")
