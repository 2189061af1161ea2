"""The records of the ledger: an ask (one execution id that wants an answer) and the work that it shares with others."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, TypeAlias

import msgspec

#: What an ask is known by: who asks, the endpoint, and the execution id, the digest of a verify body, or the name of
#: an agent event. Another caller asks for something else, even under the same id.
Key: TypeAlias = tuple[str, Literal["execute", "verify", "event"], str]

#: What a record takes beside its outcome, in bytes: keys, digests, times, and the places in indexes.
RECORD_BYTES: Final = 1_024

#: Asks that one work may have: every attempt at a step is one. Kernels give up long before.
MAX_ASKS: Final = 256


class State(StrEnum):
    """Where a piece of work stands; the last four are final."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    ANSWERED = "ANSWERED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


#: States that never change again.
FINAL: Final = frozenset({State.ANSWERED, State.FAILED, State.CANCELLED, State.LOST})

#: Final states without an answer: the work was cut before it ended.
CUT: Final = frozenset({State.CANCELLED, State.LOST})


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What everybody who asked is answered, to the byte."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class StepAttempt(msgspec.Struct, frozen=True, gc=False):
    """Which attempt at which step: `key` is equal for all attempts at one step, `attempt` counts from 1."""

    key: bytes
    attempt: int


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One request as the ledger knows it; the body itself is not kept."""

    key: Key
    #: Equal for all encodings of the same body.
    digest: bytes
    #: The step, if later attempts at it may adopt this work and this ask may adopt earlier work.
    step: StepAttempt | None = None
    #: The caller says that it wants no earlier attempt's work, because another executor turned that down.
    wants_new_work: bool = False


class Work(msgspec.Struct, gc=False):
    """What is done once for every ask that wants it. Times in epoch milliseconds. A ledger's own row: read it only."""

    work_id: str
    #: The step it was opened for; None: it is never adopted.
    step: StepAttempt | None
    state: State
    #: The incarnation of the process that runs it.
    owner: str
    opened_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    outcome: Outcome | None = None
    #: Why it should stop, once nobody is left who wants it.
    cancel_reason: str | None = None
    #: 0 to 1, with the handler's note.
    progress: float = 0.0
    note: str = ""
    #: Whether an answer went out whole to a caller that was still there.
    sent: bool = False
    #: Whether its candidate was judged, and not passed: from then on no later attempt adopts it.
    turned_down: bool = False
    #: Whether a thread of its handler still runs, although the work has ended: nothing new starts for its step.
    busy: bool = False
    #: What kind of task it does, as its handler names it: a verifier is chosen by it. None for other work.
    task_type: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL

    def adoptable_by(self, ask: Ask, *, overtaken: bool = False) -> bool:
        """Whether an ask for another attempt at the same step may have this work instead of new work.

        Also for an earlier one: a request that lay in a stopped process is read after a later one was answered. And
        for the same one where this work was opened after the work that the ask had before was cut (`overtaken`).

        While it runs; and a success until somebody says no: an answer that was heard is not an answer that counted. Of
        failures a refusal that nobody has heard is handed on; for any other the new attempt is the other try.
        """
        step = ask.step
        if self.step is None or step is None or self.step.key != step.key:
            return False
        if (step.attempt == self.step.attempt and not overtaken) or (self.ended and ask.wants_new_work):
            return False
        if self.state is State.ANSWERED:
            return not self.turned_down
        if self.ended:
            return not self.sent and self.outcome is not None and self.outcome.status < 500
        return True

    def opens_anew(self, key: Key, *, adopted: bool) -> bool:
        """Whether the ask known by `key`, which belongs to this work, may have new work when it comes again.

        An execution id has one start at most: cut work is done again only for those who never had a start of their
        own. Verifying has no ids and is pure: once its answer went out, the same body is a new question. An agent event
        has no attempts: who was told to send it again, or was told nothing, sends the same one, and means another try.
        """
        kind = key[1]
        if self.state in CUT:
            return adopted or kind != "execute" or self.started_ms is None
        if kind == "event":
            return self.outcome is not None and self.outcome.status >= 500
        return kind == "verify" and self.ended and self.sent

    @property
    def size_bytes(self) -> int:
        """What the record takes."""
        return RECORD_BYTES + (0 if self.outcome is None else len(self.outcome.body))


class Keep(msgspec.Struct, frozen=True, gc=False):
    """How much finished work a ledger keeps: it forgets the oldest beyond a bound, but nothing before its time."""

    count: int
    total_bytes: int
    age_ms: int
    #: No record is forgotten before it has been there this long; one whose answer nobody has heard, this long.
    least_ms: int = 0
    unheard_ms: int = 0
    #: What must be kept takes at most so many bytes; beyond, no new work is opened.
    full_bytes: int = 2**62

    def protects(self, work: Work, now_ms: int) -> bool:
        """Whether ended `work` may not be forgotten yet, however much there is."""
        return now_ms - (work.ended_ms or 0) < (self.least_ms if work.sent else self.unheard_ms)
