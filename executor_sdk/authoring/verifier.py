"""An author's verifier: one function that may lower the verdict of the verification policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

from msgspec import Struct

from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.awaiting import AWAIT, close_unawaited, is_unawaited
from executor_sdk.authoring.calling import Surroundings, call
from executor_sdk.authoring.encoding import misplaced, named
from executor_sdk.authoring.own_codes import own_codes
from executor_sdk.authoring.ports import Fetcher
from executor_sdk.authoring.schema import OutputShape
from executor_sdk.authoring.signature import ANYTHING, Reader, Signature
from executor_sdk.authoring.verdict import Candidate, Verdict
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import (
    DefinitionError,
    FetchError,
    HandlerCrashedError,
    HandlerSignatureError,
    InvalidOutputError,
)
from executor_sdk.protocol.incoming import CandidateText
from executor_sdk.protocol.reason_codes import INCONCLUSIVE, ReasonCode

_RETURN: Final = "return Verdict.passed(), or Verdict.failed(1001, 'why it fails')"


class Verifier(Struct, frozen=True):
    """One function that judges candidates after the policy has passed them."""

    function: Callable[..., Any]
    #: The task types whose candidates it judges; empty: all that no other verifier judges.
    kinds: tuple[str, ...]
    signature: Signature
    shape: OutputShape
    #: The author's own reason codes by number.
    own_codes: dict[int, str]

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.function)

    @property
    def names_model(self) -> bool:
        """Whether it says of which type an output must be."""
        return bool(self.shape.schema)

    def takes(self, output_text: bytes) -> bool:
        """Whether an output is of the type that it names."""
        try:
            self.shape.read(output_text)
        except InvalidOutputError:
            return False
        return True

    async def judge(
        self, view: CandidateText, task_type: str | None, fetcher: Fetcher, around: Surroundings, alarms: Alarms
    ) -> Verdict:
        """The author's verdict on one candidate, given before the alarm rings; None is a task type not known here.

        Raises:
            TaskTimeoutError, HandlerCrashedError: there is none.
        """
        try:
            output = self.shape.read(bytes(view.output))
        except InvalidOutputError as error:
            return Verdict.failed(ReasonCode.SCHEMA_INVALID, error.message)
        try:
            verdict = await call(
                self.function,
                self.signature,
                around,
                facts={Candidate: Candidate(view, output, task_type, fetcher)},
                alarms=alarms,
            )
        except FetchError as error:
            kind = Verdict.inconclusive if error.reason in INCONCLUSIVE else Verdict.failed
            return kind(error.reason, error.message)
        if not isinstance(verdict, Verdict):
            close_unawaited(verdict)
            what = (misplaced(verdict) or (named(verdict),))[0]
            cure = AWAIT if is_unawaited(verdict) else _RETURN
            raise HandlerCrashedError(f"{self.name} returned {what}: {cure}")
        return verdict


def define(function: Callable[..., Any], reader: Reader, *, task_types: Sequence[str]) -> Verifier:
    """The verifier of `function`, or a DefinitionError that says what to write instead."""
    _check_names(function, task_types)
    signature = reader.injected(function)
    fact = signature.fact(Candidate)
    if fact is None:
        raise HandlerSignatureError(
            f"{name_of(function)}: it takes no candidate; write `candidate: Candidate[Finding]`"
        )
    if signature.shape.is_generator:
        raise HandlerSignatureError(f"{name_of(function)} yields; a verifier returns its verdict: write `return`")
    if signature.returns not in {ANYTHING, Verdict}:
        raise HandlerSignatureError(f"{name_of(function)}: a verifier returns a verdict; write `-> Verdict`")
    output = (get_args(fact.annotation) or (ANYTHING,))[0]
    shape = OutputShape(output, function)
    return Verifier(function, tuple(dict.fromkeys(task_types)), signature, shape, own_codes(function))


def _check_names(function: Callable[..., Any], task_types: Sequence[str]) -> None:
    for one in task_types:
        if not isinstance(one, str):
            raise DefinitionError(
                f"{name_of(function)}: a task type is text, not {named(one)}; write @executor.verify('swarm', "
                "'forecast'), or leave the parentheses out for all task types that no other verifies"
            )
        if not one.strip():
            raise DefinitionError(
                f"{name_of(function)}: the task type is blank; name one, as @executor.verify('swarm')"
            )
