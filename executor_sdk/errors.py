"""The error tree of the kit.

The status is the retry rule: a kernel treats a 4xx from `/execute` as final and anything else as worth another
attempt, so `retryable` is derived from `status_code` and set by nobody.

    ExecutorError
    ├── DefinitionError               while decorating; never on the wire
    │   ├── DuplicateHandlerError
    │   └── HandlerSignatureError
    ├── RequestError             4xx  the kernel will not try again
    │   ├── MalformedRequestError 400   UnknownTaskTypeError 404   InvalidInputsError 422
    │   ├── UnknownPolicyError    400   BodyTooLargeError    413   BodyDiffersError   409
    │   ├── UnknownEventTypeError 404
    │   └── Refuse                422   an author raises it: "never ask me this again"
    ├── TaskError                5xx  the kernel may try again
    │   ├── InvalidOutputError    500   HandlerCrashedError  500   TaskTimeoutError   504
    │   ├── TaskLostError         503   SaturatedError       503   DrainingError      503
    │   ├── StartError            503   SecretError          503
    │   ├── BodyStalledError      503   (beside the body reader)
    │   ├── TooManyAsksError      503   LedgerError          503   (beside the ledger)
    │   └── TryLater              503   an author raises it: "ask me again"
    ├── FetchError               502  task.fetch / candidate.fetch could not bring the bytes
    │   └── UnfetchableError     422  and never can: no URI, not allowed, not there, or too large
    └── ClientError                   raised by client/ on the caller's side; out of a handler as `passed_on` says
        ├── ExecutorUnreachableError    no answer
        └── ExecutorRefusedError        an answer with an error status; keeps it

    TaskCancelled (BaseException)     nobody waits for the work any more, or it was cancelled by name
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

from executor_sdk.misuse import MisuseError, called_as, named
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.reason_codes import ReasonCode

#: Request Timeout, Too Early, Too Many Requests: for a kernel as final as every 4xx, but they speak of the moment.
MOMENTARY: Final = frozenset({408, 425, 429})

#: How authors raise the two signals that are theirs.
_REFUSE: Final = "raise Refuse('NO_ROWS', 'the file has no rows')"
_TRY_LATER: Final = "raise TryLater('the model is loading', after_s=5)"


class ExecutorError(Exception):
    """Something about this executor went wrong."""

    #: HTTP status of the answer; None for what never reaches the wire.
    status_code: ClassVar[int] = 500
    #: Stable machine-readable name, first in the error body.
    code: str = "EXECUTOR_ERROR"

    def __init__(self, message: str | None = None, *, details: Json = None) -> None:
        self.message = message or _first_sentence(type(self))
        self.details = details
        super().__init__(self.message)

    @property
    def retryable(self) -> bool:
        """Whether a caller should try again: what the status says."""
        return self.status_code >= 500

    def body(self) -> dict[str, Json]:
        """The one error body: code and sentence first, because kernels keep 512 characters of it."""
        error: dict[str, Json] = {"code": self.code, "message": self.message, "retryable": self.retryable}
        if self.details is not None:
            error["details"] = self.details
        return {"error": error}


class DefinitionError(ExecutorError):
    """An executor is written in a way that cannot work; told while decorating."""

    code = "DEFINITION_ERROR"


class DuplicateHandlerError(DefinitionError):
    """Two handlers want the same task type and profile."""

    code = "DUPLICATE_HANDLER"


class HandlerSignatureError(DefinitionError):
    """A handler's signature cannot be called with a task."""

    code = "HANDLER_SIGNATURE"


class RequestError(ExecutorError):
    """The request can never succeed as it stands."""

    status_code = 400
    code = "REQUEST_ERROR"


class MalformedRequestError(RequestError):
    """The body is not what this endpoint takes."""

    code = "MALFORMED_REQUEST"


class UnknownTaskTypeError(RequestError):
    """No handler takes this task type and profile."""

    status_code = 404
    code = "UNKNOWN_TASK_TYPE"


class UnknownEventTypeError(RequestError):
    """No function takes this type of agent event."""

    status_code = 404
    code = "UNKNOWN_EVENT_TYPE"


class InvalidInputsError(RequestError):
    """The task's inputs, or the event's payload, do not fit the function's type."""

    status_code = 422
    code = "INVALID_INPUTS"


class UnknownPolicyError(RequestError):
    """The verification policy is unknown, or its version or hash is another."""

    code = "UNKNOWN_POLICY"


class BodyTooLargeError(RequestError):
    """The request body is larger than this executor takes."""

    status_code = 413
    code = "BODY_TOO_LARGE"


class BodyDiffersError(RequestError):
    """This execution id came before with another body; the same id must mean the same request."""

    status_code = 409
    code = "BODY_DIFFERS"


class Refuse(RequestError):  # noqa: N818 - a signal that authors raise, not a fault
    """This task is refused; never ask this again.

    An author raises it with a code and a sentence. Answered 422, final for the kernel.
    """

    status_code = 422
    code = "REFUSED"

    @called_as(_REFUSE)
    def __init__(self, code: str, message: str, *, details: Json = None) -> None:
        if not (_is_text(code) and _is_text(message)):
            raise MisuseError(f"Refuse takes a code and a sentence, both are text; write {_REFUSE}")
        if not isinstance(details, dict | list | str | int | float | None):
            raise MisuseError(
                f"the details of a Refuse are plain JSON, not {named(details)}; write details={{'rows': 0}}"
            )
        super().__init__(message, details=details)
        self.code = code


class TaskError(ExecutorError):
    """The task was not done this time; another attempt may succeed."""

    code = "TASK_ERROR"


class InvalidOutputError(TaskError):
    """The handler's output or evidence would be refused by the kernel."""

    code = "INVALID_OUTPUT"


class HandlerCrashedError(TaskError):
    """The handler raised an exception that it does not declare; the log has the traceback."""

    code = "HANDLER_CRASHED"


class TaskTimeoutError(TaskError):
    """The handler did not finish within its `timeout_s`."""

    status_code = 504
    code = "TASK_TIMEOUT"


class TaskLostError(TaskError):
    """The work was cut before it ended: cancelled, drained, or its process died."""

    status_code = 503
    code = "TASK_LOST"


class SaturatedError(TaskError):
    """Every slot is taken and the queue is full; ask again later."""

    status_code = 503
    code = "SATURATED"


class StartError(TaskError):
    """This executor cannot start, so it can do nothing yet."""

    status_code = 503
    code = "NOT_STARTED"


class SecretError(TaskError):
    """A secret that this executor sends along is not there, or nothing that can be sent."""

    status_code = 503
    code = "SECRET_MISSING"


class DrainingError(TaskError):
    """This executor is shutting down and starts no new work."""

    status_code = 503
    code = "DRAINING"


class TryLater(TaskError):  # noqa: N818 - a signal that authors raise, not a fault
    """This task cannot be done now; ask again.

    An author raises it. Answered 503 with `Retry-After`; `after_s` in seconds.
    """

    status_code = 503
    code = "TRY_LATER"

    @called_as(_TRY_LATER)
    def __init__(self, message: str | None = None, *, after_s: float | None = None, details: Json = None) -> None:
        if message is not None and (not _is_text(message) or message.strip().isdecimal()):
            raise MisuseError(f"TryLater takes a sentence first, not {message!r}; write {_TRY_LATER}")
        if after_s is not None and not isinstance(after_s, float | int):
            raise MisuseError(f"after_s is a number of seconds, not {after_s!r}; write {_TRY_LATER}")
        super().__init__(message, details=details)
        #: None, which leaves it to the kit, also where no header could say it.
        self.after_s = None if after_s is None or not math.isfinite(after_s) else after_s


class FetchError(ExecutorError):
    """Bytes could not be fetched. In a verifier it becomes `reason`: 200-202 inconclusive, 203 failed.

    In an execute handler it is answered 502, which the kernel tries again.
    """

    status_code = 502
    code = "FETCH_FAILED"

    def __init__(self, reason: ReasonCode, message: str) -> None:
        super().__init__(message, details={"reason_code": int(reason)})
        self.reason = reason


class UnfetchableError(FetchError):
    """What was to be fetched can never be: it is no URI, it may not be fetched, it is not there (404), or is too large.

    Another attempt meets the same. In an execute handler it is answered 422, final for the kernel; in a verifier it is
    inconclusive, as any fetch.
    """

    status_code = 422
    code = "UNFETCHABLE"

    def __init__(self, message: str, reason: ReasonCode = ReasonCode.EVIDENCE_UNREACHABLE) -> None:
        super().__init__(reason, message)


class ClientError(ExecutorError):
    """A call to an executor did not bring a usable answer."""

    code = "CLIENT_ERROR"

    def passed_on(self) -> RequestError | TaskError:
        """What a handler answers that asked another executor and did not catch this error: the caller may try again
        where another try may help. The address of the other executor is not told."""
        return TryLater("another executor, which was asked for this, gave no answer")


class ExecutorUnreachableError(ClientError):
    """No answer came. `timed_out` tells a slow executor from an absent one."""

    code = "EXECUTOR_UNREACHABLE"

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class ExecutorRefusedError(ClientError):
    """The executor answered with an error status, or with a body that breaks the contract (`status` is then 200).

    `status` and `reason_phrase` as answered, `answer` the first 512 characters of the body; `sentence` what went wrong
    without the address, `peer_code` the code of the error body, if it has one, `after_s` the seconds of `Retry-After`.
    """

    code = "EXECUTOR_REFUSED"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        reason_phrase: str,
        answer: str,
        sentence: str | None = None,
        peer_code: str | None = None,
        after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason_phrase = reason_phrase
        self.answer = answer
        self.sentence = sentence or message
        self.peer_code = peer_code
        self.after_s = after_s

    @property
    def retryable(self) -> bool:
        """Taken from the answer: a 4xx is final."""
        return not 400 <= self.status < 500

    def passed_on(self) -> RequestError | TaskError:
        """What the other executor said, as our own: final where it was final, and spoke of the task."""
        sentence = f"another executor, which was asked for this, answered {self.sentence}"
        if self.retryable or self.status in MOMENTARY:
            return TryLater(sentence, after_s=self.after_s)
        return Refuse(self.peer_code or "REFUSED_BY_ANOTHER", sentence)


class TaskCancelled(BaseException):  # not an Exception, so that `except Exception` cannot swallow it
    """The work is no longer wanted. Raised inside a handler by its next `task.progress()` or `task.check()`."""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _first_sentence(kind: type[ExecutorError]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]
