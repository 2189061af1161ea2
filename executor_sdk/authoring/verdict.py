"""What an author's verifier is given and gives back: a candidate, and a verdict of three kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, Self, TypeVar, get_args

from executor_sdk.authoring.encoding import named
from executor_sdk.authoring.fetching import Bytes, in_loop, in_thread
from executor_sdk.authoring.ports import Fetcher
from executor_sdk.misuse import MisuseError, called_as
from executor_sdk.protocol.incoming import CandidateText
from executor_sdk.protocol.plain import Json, parse
from executor_sdk.protocol.reason_codes import FIRST_OWN_CODE, INCONCLUSIVE, ReasonCode
from executor_sdk.protocol.wire import EvidenceRef, InlineEvidence, VerificationStatus

T = TypeVar("T")

#: Reason codes of one verdict; a kernel takes 65,536 bytes of it.
MAX_CODES: Final = 64

#: The largest code: 16 bits.
MAX_CODE: Final = 0xFFFF

#: How to fail a candidate; most messages end with it.
_FAILED: Final = "Verdict.failed(1001, 'why it fails')"

_PROTOCOL_CODES: Final = frozenset(ReasonCode)

_STATUSES: Final[tuple[str, ...]] = get_args(VerificationStatus)


@dataclass(frozen=True)
class Verdict:
    """A judgement: `Verdict.passed()`, `Verdict.failed(code, why)` or `Verdict.inconclusive(code, why)`.

    `score` (0 to 1) is None where it is left to the verification policy.
    """

    status: VerificationStatus
    reason_codes: tuple[int, ...] = ()
    message: str = ""
    score: float | None = None

    def __post_init__(self) -> None:
        # Told where it is made: a kernel would refuse the verdict, and not say to the author why.
        if self.status not in _STATUSES:
            raise MisuseError(f"there is no verdict {self.status!r}; say one of {', '.join(_STATUSES)}")
        if self.status == "inconclusive" and INCONCLUSIVE.isdisjoint(self.reason_codes):
            names = ", ".join(ReasonCode(one).name for one in sorted(INCONCLUSIVE))
            raise MisuseError(f"an inconclusive verdict wants one of {names}; say failed for anything else")
        if not isinstance(self.message, str):
            raise MisuseError(f"the message of a verdict is a sentence, not {named(self.message)}; write {_FAILED}")
        if len(self.reason_codes) > MAX_CODES:
            raise MisuseError(f"a verdict has at most {MAX_CODES} reason codes, not {len(self.reason_codes)}")
        if self.score is not None and not _is_share(self.score):
            raise MisuseError(f"the score is {self.score!r}; it must be between 0 and 1, as score=0.9")
        for code in self.reason_codes:
            _check_code(code)

    @classmethod
    @called_as("Verdict.passed(), or Verdict.passed(score=0.9)")
    def passed(cls, *, score: float | None = None) -> Self:
        """The candidate holds; the policy's own verdict stands."""
        return cls("passed", score=score)

    @classmethod
    @called_as(_FAILED)
    def failed(cls, code: int | list[int] | tuple[int, ...], message: str = "", *, score: float | None = None) -> Self:
        """The candidate does not hold; `code`, or each of several, from 1000 on is your own."""
        codes = tuple(code) if isinstance(code, list | tuple) else (code,)
        if not codes:
            raise MisuseError(f"a failed verdict wants a reason code; write {_FAILED}")
        return cls("failed", tuple(map(_number, codes)), message, score)

    @classmethod
    @called_as("Verdict.inconclusive(ReasonCode.EVIDENCE_UNREACHABLE, 'no file was cited')")
    def inconclusive(cls, code: int, message: str = "", *, score: float | None = None) -> Self:
        """The evidence could not be looked at; `code` says why: EVIDENCE_UNREACHABLE, _TIMEOUT or _AUTH_DENIED."""
        return cls("inconclusive", (_number(code),), message, score)


def _is_share(score: object) -> bool:
    return isinstance(score, float | int) and 0 <= score <= 1


def _number(code: object) -> int:
    if not isinstance(code, int):
        raise MisuseError(f"a reason code is a number, not {code!r}; write {_FAILED}")
    return int(code)


def _check_code(code: int) -> None:
    if not 0 <= code <= MAX_CODE:
        raise MisuseError(f"the reason code {code} does not fit 16 bits; own codes are {FIRST_OWN_CODE} to {MAX_CODE}")
    if code < FIRST_OWN_CODE and code not in _PROTOCOL_CODES:
        own = f"{FIRST_OWN_CODE} to {MAX_CODE}"
        raise MisuseError(f"{code} is no reason code of the protocol, and your own are {own}; write {_FAILED}")


class Candidate(Generic[T]):
    """A proposed output with its evidence. `output` is of the type named in `Candidate[Finding]`."""

    def __init__(self, view: CandidateText, output: T, task_type: str | None, fetcher: Fetcher) -> None:
        self.output = output
        #: As the executor's ledger has it that proposed the output; None where no ledger here knows the execution, or
        #: where one verifier judges the one task type that there is.
        self.task_type = task_type
        self._view = view
        self._fetcher = fetcher

    @property
    def candidate_id(self) -> str:
        """The kernel's name of the candidate."""
        return self._view.candidate_id

    @property
    def execution_id(self) -> str:
        """The call that proposed it."""
        return self._view.execution_id

    @property
    def plain_output(self) -> Json:
        """The output as it came."""
        return parse(bytes(self._view.output))

    @property
    def evidence_refs(self) -> Sequence[EvidenceRef]:
        """References to evidence kept elsewhere."""
        return self._view.evidence_refs

    @property
    def evidence_inline(self) -> Sequence[InlineEvidence]:
        """Short texts that came with it."""
        return self._view.evidence_inline

    def fetch(self, evidence: EvidenceRef | str, *, max_bytes: int | None = None) -> Bytes:
        """Await the bytes of one reference, checked against its digest, or at a URI.

        Raises:
            FetchError: let it pass, and it becomes the verdict by itself: 200, 201, 202 inconclusive, 203 failed.
        """
        return in_loop("candidate", self._way_to(evidence, max_bytes))

    def fetch_sync(self, evidence: EvidenceRef | str, *, max_bytes: int | None = None) -> bytes:
        """`fetch` for a plain `def` verifier, which runs in a thread of its own."""
        return in_thread("candidate", self._way_to(evidence, max_bytes))

    def _way_to(self, evidence: EvidenceRef | str, max_bytes: int | None) -> Callable[[], Bytes]:
        if isinstance(evidence, str):
            return partial(self._fetcher.fetch, evidence, max_bytes=max_bytes)
        return partial(self._fetcher.fetch_ref, evidence)
