"""Trying again inside the work: after which errors, how often, and after how long."""

from __future__ import annotations

import random
from typing import Final

from msgspec import Struct

from executor_sdk.errors import MOMENTARY, ClientError, ExecutorRefusedError, FetchError, TryLater

#: No pause is longer, however often the function has failed.
MAX_PAUSE_S: Final = 60.0

#: Errors of network libraries that speak of the moment, by package and class: none of them is loaded for this.
_OF_NETWORKS: Final = frozenset(
    {
        ("aiohttp", "ClientConnectionError"), ("httpx", "TransportError"), ("httpx2", "TransportError"),
        ("openai", "APIConnectionError"), ("openai", "RateLimitError"), ("openai", "InternalServerError"),
    }
)  # fmt: skip


class Again(Struct, frozen=True):
    """How often a function is called again after an error that may pass, and the pause before the first time."""

    retries: int
    backoff_s: float

    def pause_s(self, error: BaseException, *, failed: int, left_s: float) -> float | None:
        """Seconds to wait before the next call, after the function has failed `failed` times; None: no more calls.

        The pause doubles each time, by chance up to half shorter, so that those who failed together do not come back
        together. A `TryLater` says itself how long. Where the pause would take all that is left, nothing is gained.
        """
        if failed > self.retries or not may_pass(error):
            return None
        after_s = getattr(error, "after_s", None)
        if after_s is None:
            longest = min(self.backoff_s * 2 ** min(failed - 1, 32), MAX_PAUSE_S)
            after_s = longest * random.uniform(0.5, 1)  # noqa: S311 - nothing secret
        pause_s = max(0.0, float(after_s))
        return pause_s if pause_s < left_s else None


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    match error:
        case TryLater() | ConnectionError() | TimeoutError():
            return True
        case FetchError():
            return error.retryable
        case ExecutorRefusedError():
            return error.retryable or error.status in MOMENTARY
        case ClientError():
            return True
        case _:
            names = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
            return not names.isdisjoint(_OF_NETWORKS)
