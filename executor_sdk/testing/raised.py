"""From an error answer back to the error that an author knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from executor_sdk.client.exchange import Answer
from executor_sdk.errors import (
    ExecutorError,
    ExecutorRefusedError,
    FetchError,
    Refuse,
    RequestError,
    TaskError,
    TryLater,
    UnfetchableError,
)
from executor_sdk.protocol.plain import NotJsonError, parse
from executor_sdk.protocol.reason_codes import ReasonCode


def error_in(answer: Answer) -> ExecutorError:
    """The error that `answer` tells of; an ExecutorRefusedError if it has not the kit's shape."""
    try:
        error = parse(answer.body)["error"]
        code, message, details = error["code"], error["message"], error.get("details")
    except (NotJsonError, LookupError, TypeError, AttributeError):
        return ExecutorRefusedError(
            f"answered {answer.status}", status=answer.status, reason_phrase=answer.reason_phrase, answer=answer.excerpt
        )
    if code == UnfetchableError.code:
        return UnfetchableError(message)
    if code == FetchError.code and isinstance(details, dict):
        return FetchError(ReasonCode(details["reason_code"]), message)
    if code == TryLater.code:
        return TryLater(message, after_s=_seconds(answer.headers.get("retry-after")), details=details)
    for kind in _kinds(RequestError, TaskError):
        if kind.code == code and kind is not Refuse:
            return kind(message, details=details)
    return Refuse(code, message, details=details)


def _kinds(*roots: type[ExecutorError]) -> Iterator[type[ExecutorError]]:
    for root in roots:
        yield root
        yield from _kinds(*root.__subclasses__())


def _seconds(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
