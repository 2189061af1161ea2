"""The error tree of the kernel.

Each class takes facts and writes its own sentence: the kernel's where a recording has one.

    KernelError
    ├── UnreadableRequestError 400   OversizedBodyError 413   UnavailableError 503
    ├── NotFoundError         404   RunNotFoundError, StepNotFoundError, ExecutorNotFoundError
    ├── ConflictError         409   RunExistsError, TaskIdTakenError, IllegalTransitionError, LeaseLostError
    ├── InvalidSpecError      422
    ├── StepFailedError             an attempt at a step failed; never on the wire
    ├── StoreError            500   every driver error, later schema, a closed store; UnreadableRowError
    │   └── StoreSaturatedError 503
    └── LogError              500   InvalidEventError, TablesDifferError, SeedError, SeedLostError, ForeignSeedError,
        │                           BrokenHeadError, UnreadableHeadError, RolledBackError
        └── BrokenLogError          BadSignatureError, UntrustedKeyError
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from executor_sdk.protocol.plain import Json


class KernelError(Exception):
    """Something about this kernel went wrong."""

    #: HTTP status of the answer.
    status_code: ClassVar[int] = 500
    #: Stable machine-readable name.
    code: ClassVar[str] = "KERNEL_ERROR"

    def __init__(self, sentence: str | None = None, *, details: Json = None) -> None:
        self.sentence = sentence or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        self.details = details
        super().__init__(self.sentence)


class UnreadableRequestError(KernelError):
    """The request is not what this call takes."""

    status_code = 400
    code = "MALFORMED_REQUEST"


class OversizedBodyError(KernelError):
    """The request body is larger than this kernel takes."""

    status_code = 413
    code = "BODY_TOO_LARGE"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"request body is larger than {max_bytes} bytes")


class UnavailableError(KernelError):
    """This cannot be done now; ask again later."""

    status_code = 503
    code = "UNAVAILABLE"


class NotFoundError(KernelError):
    """There is nothing of this name."""

    status_code = 404
    code = "NOT_FOUND"
    #: What it would be.
    what: ClassVar[str] = "thing"

    def __init__(self, name: str) -> None:
        super().__init__(f"{self.what} not found: {name}")


class RunNotFoundError(NotFoundError):
    """No run has this id."""

    code = "RUN_NOT_FOUND"
    what = "run"


class StepNotFoundError(NotFoundError):
    """No step has this id."""

    code = "STEP_NOT_FOUND"
    what = "step"


class ExecutorNotFoundError(NotFoundError):
    """No executor is registered under this name."""

    code = "EXECUTOR_NOT_FOUND"
    what = "executor"


class ConflictError(KernelError):
    """The state of things does not allow this."""

    status_code = 409
    code = "CONFLICT"


class RunExistsError(ConflictError):
    """A run of this id is there already."""

    code = "RUN_EXISTS"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run already exists: {run_id}; choose another run_id")


class TaskIdTakenError(ConflictError):
    """A step of another run has the task ids of a step of this one."""

    code = "TASK_ID_TAKEN"

    def __init__(self, run_id: str, step_id: str) -> None:
        super().__init__(f"a task of run {run_id} would have the id of a task of step {step_id}; choose another run_id")


class IllegalTransitionError(ConflictError):
    """A run or task in this state cannot do that."""

    code = "ILLEGAL_TRANSITION"


class LeaseLostError(ConflictError):
    """The step is held under another lease now; the worker that lost it writes nothing."""

    code = "LEASE_LOST"

    def __init__(self, step_id: str, lease_id: str) -> None:
        super().__init__(f"lease {lease_id} of step {step_id} is lost")


class InvalidSpecError(KernelError):
    """The run specification breaks a rule; `details` names the fields."""

    status_code = 422
    code = "INVALID_SPEC"

    def __init__(self, sentence: str, fields: Sequence[Json] = ()) -> None:
        super().__init__(sentence, details=list(fields) or None)


class StepFailedError(KernelError):
    """An attempt at a step failed; `final` when no further attempt can help, `unanswered` when its time ran out."""

    code = "STEP_FAILED"

    def __init__(self, sentence: str, *, final: bool = False, unanswered: bool = False) -> None:
        super().__init__(sentence)
        self.final = final
        self.unanswered = unanswered


class StoreError(KernelError):
    """The store could not do it."""

    code = "STORE_ERROR"


class UnreadableRowError(StoreError):
    """The store holds a row that this kernel did not write, or that was changed since."""

    code = "UNREADABLE_ROW"


class StoreSaturatedError(StoreError):
    """Too many callers wait for the store already."""

    status_code = 503
    code = "STORE_SATURATED"


class LogError(KernelError):
    """The event log cannot be trusted."""

    code = "LOG_ERROR"


class BrokenLogError(LogError):
    """An entry of the log is not what was signed or chained, or cannot follow the ones before it."""

    code = "BROKEN_LOG"

    def __init__(self, seq: int, event_id: str, reason: str, *, what: str = "event") -> None:
        super().__init__(f"{what} {seq} ({event_id}) is broken: {reason}")
        self.seq = seq
        self.event_id = event_id
        self.reason = reason


class BadSignatureError(BrokenLogError):
    """The signature of an event is not its author's."""

    code = "BAD_SIGNATURE"


class UntrustedKeyError(BrokenLogError):
    """An event is rightly signed, by a key that nobody said is trusted."""

    code = "UNTRUSTED_KEY"

    def __init__(self, seq: int, event_id: str, *, found: str, expected: Collection[str]) -> None:
        said = " or ".join(sorted(expected))
        super().__init__(
            seq, event_id, f"key {found} signed it, expected was {said}; name each key you trust (--trust)"
        )
        self.found = found


class BrokenHeadError(LogError):
    """The signed head and the log do not belong together."""

    code = "BROKEN_HEAD"

    def __init__(self, entries: int, reason: str) -> None:
        super().__init__(f"the head of {entries} entries is broken: {reason}")


class UnreadableHeadError(LogError):
    """This is no head of a log: give what `log head` printed, as a file or as text."""

    code = "UNREADABLE_HEAD"


class RolledBackError(LogError):
    """The log is not the one whose head was kept: entries that were there are gone, or are others now."""

    code = "ROLLED_BACK"

    def __init__(self, kept_entries: int, entries: int) -> None:
        others = f"has others as its first {kept_entries} entries"
        found = f"ends at entry {entries}" if entries < kept_entries else others
        kept = f"the log is not the one whose head of {kept_entries} entries was kept"
        super().__init__(f"{kept}: it {found}; put back a copy that has them")


class SeedError(LogError):
    """A seed file does not hold a seed."""

    code = "BAD_SEED"

    def __init__(self, seed_path: Path) -> None:
        super().__init__(f"{seed_path} is not a seed: it must hold 64 hex digits")


class SeedLostError(LogError):
    """The seed of the key that signed the log is not there."""

    code = "SEED_LOST"

    def __init__(self, seed_path: Path, signer: str) -> None:
        super().__init__(
            f"{seed_path} is not there, and key {signer} signed the log beside it; put that seed file back"
        )


class ForeignSeedError(LogError):
    """The seed beside the log is not the one of the key that signed it."""

    code = "FOREIGN_SEED"

    def __init__(self, *, found: str, expected: str) -> None:
        super().__init__(
            f"the node's seed is of key {found}, but key {expected} signed its log; put back the seed of that key"
        )


class InvalidEventError(LogError):
    """An event that must not be appended: it breaks a rule of the task's life."""

    code = "INVALID_EVENT"

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid event: {reason}")
        self.reason = reason


class TablesDifferError(LogError):
    """What the tables keep of a run or a step is not what the log says; the log wins."""

    code = "TABLES_DIFFER"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is not what the log says: {reason}")
        self.what = what
        self.reason = reason
