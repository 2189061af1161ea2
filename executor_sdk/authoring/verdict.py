"""What an author's verifier is given and gives back: a candidate, and a verdict of three kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Self, TypeVar, get_args

from executor_sdk.authoring.ports import Fetcher
from executor_sdk.protocol.incoming import CandidateText
from executor_sdk.protocol.plain import Json, parse
from executor_sdk.protocol.reason_codes import INCONCLUSIVE, ReasonCode
from executor_sdk.protocol.wire import EvidenceRef, InlineEvidence, VerificationStatus

T = TypeVar("T")

#: Reason codes of one verdict; a kernel takes 65,536 bytes of it.
MAX_CODES: Final = 64

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
            raise ValueError(f"there is no verdict {self.status!r}; say one of {', '.join(_STATUSES)}")
        if self.status == "inconclusive" and INCONCLUSIVE.isdisjoint(self.reason_codes):
            names = ", ".join(ReasonCode(one).name for one in sorted(INCONCLUSIVE))
            raise ValueError(f"an inconclusive verdict wants one of {names}; say failed for anything else")
        if not isinstance(self.message, str):
            raise TypeError(f"the message of a verdict is a sentence, not a {type(self.message).__name__}")
        if len(self.reason_codes) > MAX_CODES:
            raise ValueError(f"a verdict has at most {MAX_CODES} reason codes, not {len(self.reason_codes)}")
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score is {self.score}; it must be between 0 and 1")
        for code in self.reason_codes:
            if not 0 <= code <= 0xFFFF:
                raise ValueError(f"the reason code {code} does not fit 16 bits; own codes are 1000 to 65535")

    @classmethod
    def passed(cls, *, score: float | None = None) -> Self:
        """The candidate holds; the policy's own verdict stands."""
        return cls("passed", score=score)

    @classmethod
    def failed(cls, code: int | list[int] | tuple[int, ...], message: str = "", *, score: float | None = None) -> Self:
        """The candidate does not hold; `code`, or each of several, from 1000 on is your own."""
        codes = tuple(map(int, code)) if isinstance(code, list | tuple) else (int(code),)
        if not codes:
            raise ValueError("a failed verdict wants a reason code; your own are 1000 to 65535")
        return cls("failed", codes, message, score)

    @classmethod
    def inconclusive(cls, code: int, message: str = "", *, score: float | None = None) -> Self:
        """The evidence could not be looked at; `code` says why: EVIDENCE_UNREACHABLE, _TIMEOUT or _AUTH_DENIED."""
        return cls("inconclusive", (int(code),), message, score)


class Candidate(Generic[T]):
    """A proposed output with its evidence. `output` is of the type named in `Candidate[Finding]`."""

    def __init__(self, view: CandidateText, output: T, fetcher: Fetcher) -> None:
        self.output = output
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

    async def fetch(self, evidence: EvidenceRef | str, *, max_bytes: int | None = None) -> bytes:
        """The bytes of one reference, checked against its digest, or at a URI.

        Raises:
            FetchError: let it pass, and it becomes the verdict by itself: 200, 201, 202 inconclusive, 203 failed.
        """
        if isinstance(evidence, str):
            return await self._fetcher.fetch(evidence, max_bytes=max_bytes)
        return await self._fetcher.fetch_ref(evidence)
