"""An author's verifier: one function that may lower the verdict of the verification policy."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, Final, get_args

from msgspec import Struct

from executor_sdk.authoring.annotations import annotated_part, name_of
from executor_sdk.authoring.awaiting import AWAIT, close_unawaited, is_unawaited
from executor_sdk.authoring.calling import Surroundings, call
from executor_sdk.authoring.encoding import misplaced, named
from executor_sdk.authoring.ports import Fetcher
from executor_sdk.authoring.schema import OutputShape
from executor_sdk.authoring.signature import ANYTHING, Reader, Signature
from executor_sdk.authoring.verdict import Candidate, Verdict
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import FetchError, HandlerCrashedError, HandlerSignatureError, InvalidOutputError
from executor_sdk.protocol.incoming import CandidateText
from executor_sdk.protocol.reason_codes import FIRST_OWN_CODE, INCONCLUSIVE, ReasonCode

_RETURN: Final = "return Verdict.passed(), or Verdict.failed(1001, 'why it fails')"


class Verifier(Struct, frozen=True):
    """One function that judges candidates after the policy has passed them."""

    function: Callable[..., Any]
    signature: Signature
    shape: OutputShape
    #: The author's own reason codes by number.
    own_codes: dict[int, str]

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.function)

    async def judge(self, view: CandidateText, fetcher: Fetcher, around: Surroundings, alarms: Alarms) -> Verdict:
        """The author's verdict on one candidate, given before the alarm rings.

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
                facts={Candidate: Candidate(view, output, fetcher)},
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


def define(function: Callable[..., Any], reader: Reader) -> Verifier:
    """The verifier of `function`, or a HandlerSignatureError that says what to write instead."""
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
    return Verifier(function, signature, OutputShape(output, function), own_codes(function))


def own_codes(function: Callable[..., Any]) -> dict[int, str]:
    """The members from 1000 on of every IntEnum that `function` names, to be listed in /capabilities."""
    return {
        int(member): member.name
        for value in _named_values(annotated_part(function))
        if inspect.isclass(value) and issubclass(value, IntEnum)
        for member in value
        if member >= FIRST_OWN_CODE
    }


def _named_values(function: Callable[..., Any]) -> Iterator[object]:
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    if isinstance(code, types.CodeType):
        known = getattr(function, "__globals__", {})
        yield from (known[name] for name in _names(code) if name in known)
        for cell in getattr(function, "__closure__", None) or ():
            try:
                yield cell.cell_contents
            except ValueError:  # still empty: what it names is defined further down
                continue


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
