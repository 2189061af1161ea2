"""The records of the ledger: an ask (one execution id that wants an answer) and the work that it shares with others."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, Literal, TypeAlias

import msgspec

from executor_sdk.protocol.canonical import sorted_bytes
from executor_sdk.protocol.plain import NotJsonError, parse

#: What an ask is known by: its endpoint, and the execution id or the digest of a verify body.
Key: TypeAlias = tuple[Literal["execute", "verify"], str]


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


class Step(msgspec.Struct, frozen=True, gc=False):
    """Which step of a run is asked for: `key` is equal for all its attempts, `attempt` counts them from 1."""

    key: str
    attempt: int


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One request as the ledger knows it. Copies of it are equal but for a body that a gateway re-encoded."""

    key: Key
    #: The request body as it came.
    body: bytes
    #: The step, if later attempts at it may adopt this work and this ask may adopt earlier work.
    step: Step | None = None

    @property
    def body_digest(self) -> bytes:
        """Digest of the body in canonical form: gateways re-encode, and a body so changed is still the same."""
        try:
            canonical = sorted_bytes(parse(self.body))
        except NotJsonError:
            canonical = self.body
        return hashlib.sha256(canonical).digest()

    def same_request(self, other: Ask) -> bool:
        """Whether both bodies say the same; nearly always they are the same bytes, and nothing is computed."""
        return self.body == other.body or self.body_digest == other.body_digest


class Work(msgspec.Struct, frozen=True, gc=False):
    """What is done once for every ask that wants it. Times in epoch milliseconds."""

    work_id: str
    #: The step it was opened for; None: it is never adopted.
    step: Step | None
    state: State
    #: The incarnation of the process that runs it.
    owner: str
    #: Until when somebody outside the owner's process wants it.
    wanted_until_ms: int
    opened_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    outcome: Outcome | None = None
    #: Why it should stop, once nobody is left who wants it.
    cancel_reason: str | None = None
    #: 0 to 1, with the handler's note.
    progress: float = 0.0
    note: str = ""
    #: Whether an answer went out whole to somebody: from then on no later attempt adopts it.
    sent: bool = False

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in FINAL

    def adoptable_by(self, step: Step) -> bool:
        """Whether an ask for a later attempt at the same step may have this work instead of new work.

        It may while the work runs, or while its answer never left whole. A failure that the kernel would try again
        is not handed on: the new attempt is that other try.
        """
        if self.step is None or self.step.key != step.key or step.attempt <= self.step.attempt:
            return False
        if not self.ended:
            return True
        return not self.sent and self.outcome is not None and self.outcome.status < 500

    def opens_anew(self, key: Key, *, adopted: bool) -> bool:
        """Whether the ask known by `key`, which belongs to this work, may have new work when it comes again.

        An execution id has one start at most: cut work is done again only for those who never had a start of their
        own. Verifying has no ids and is pure: once its answer went out, the same body is a new question.
        """
        verifies = key[0] == "verify"
        if self.state in CUT:
            return adopted or verifies or self.started_ms is None
        return verifies and self.ended and self.sent


class Keep(msgspec.Struct, frozen=True, gc=False):
    """How much finished work a ledger keeps: whichever bound is met first."""

    count: int
    total_bytes: int
    age_ms: int
