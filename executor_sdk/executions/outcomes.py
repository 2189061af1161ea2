"""Outcomes: an answer or an error as the bytes that everybody who asked will get."""

from __future__ import annotations

import math
from typing import Final

from executor_sdk.errors import DrainingError, ExecutorError, HandlerCrashedError, SaturatedError, TryLater
from executor_sdk.executions.record import Outcome
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json

#: Seconds after which to ask again, where nobody knows better.
RETRY_AFTER_S: Final = 1

#: Characters of a sentence on the wire: kernels keep 512 of the whole body, people read no more than this.
MAX_MESSAGE: Final = 2_000


#: What is answered where code raised what it should not; the log has more.
CRASHED: Final = Outcome(HandlerCrashedError.status_code, declared_bytes(HandlerCrashedError().body()))


def answered(answer: Json, *, status: int = 200) -> Outcome:
    """`answer` as a body."""
    return Outcome(status, declared_bytes(answer))


def failed(error: ExecutorError) -> Outcome:
    """The status of `error`, its code and sentence first in the body, and when to come back."""
    body = error.body()
    if len(error.message) > MAX_MESSAGE:
        body["error"]["message"] = error.message[:MAX_MESSAGE] + "…"
    return Outcome(error.status_code, declared_bytes(body), _headers(error))


def _headers(error: ExecutorError) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, TryLater):
        after_s = RETRY_AFTER_S if error.after_s is None else max(0, math.ceil(error.after_s))
    elif isinstance(error, (SaturatedError, DrainingError)):
        after_s = RETRY_AFTER_S
    else:
        return ()
    return ((b"retry-after", str(after_s).encode()),)
