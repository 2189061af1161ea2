"""An author's health check: one function that says whether this executor can do its work now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.calling import Surroundings, call
from executor_sdk.authoring.encoding import NotPlainError, encoded
from executor_sdk.authoring.signature import Reader, Signature
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import ExecutorError, HandlerSignatureError
from executor_sdk.misuse import named
from executor_sdk.protocol.plain import Json

#: Seconds a health check may take; who asks for health does not wait long.
TIMEOUT_S: Final = 5.0

#: A health check has a thread of its own, so that busy handlers cannot make it look ill.
THREADS: Final = 1


class HealthCheck(Struct, frozen=True):
    """One function that answers True, False, or a dict of details (healthy unless its `status` is not "ok")."""

    function: Callable[..., Any]
    signature: Signature

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.function)

    async def ask(self, around: Surroundings) -> tuple[bool, dict[str, Json]]:
        """Whether it is healthy, and what it says about it."""
        try:
            said = await call(self.function, self.signature, around, facts={}, alarms=Alarms(TIMEOUT_S))
            if not isinstance(said, bool | dict | None):
                return False, {"message": f"{self.name} returned {named(said)}: return True, False or a dict"}
            details = encoded(said) if isinstance(said, dict) else {}
        except ExecutorError as error:
            return False, {"message": error.message}
        except NotPlainError as error:
            return False, {"message": f"{name_of(self.function)} returned {error}"}
        return said is not False and details.get("status", "ok") == "ok", details


def define(function: Callable[..., Any], reader: Reader) -> HealthCheck:
    """The health check of `function`, or a HandlerSignatureError that says what to write instead."""
    signature = reader.injected(function)
    if signature.shape.is_generator:
        raise HandlerSignatureError(f"{name_of(function)} yields; a health check returns True, False or a dict")
    return HealthCheck(function, signature)
