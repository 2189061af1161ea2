"""What a requirement is, and what came of it: the grade, its reason, and the exchanges that show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeVar

from executor_sdk.protocol.plain import Json

C = TypeVar("C")


class Level(StrEnum):
    """How binding a requirement is: breaking a MUST breaks runs, breaking a SHOULD is a warning."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class Source(StrEnum):
    """Where a requirement comes from."""

    DOCUMENTS = "documents"  # the kernel's public documentation, or its source where that decides
    RECORDING = "recording"  # what the running kernel was seen to send or refuse
    OURS = "ours"  # neither says anything; the executor contract of this kit does


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A line of the manifest, written above the check that proves it.

    `id` is EXC-AREA-NNN and never reused; everything else may be corrected.
    """

    id: str
    level: Level = Level.MUST
    title: str
    quote: str
    source: Source
    #: The requirement without which this one cannot be tested; it is then not tested, and that counts against.
    prerequisite: str | None = None
    #: What an executor does that breaks this requirement and no other; the suite's own tests build each of them.
    mutant: str

    def __call__(self, check: C) -> C:
        """Mark `check` as the proof of this requirement."""
        vars(check)["requirement"] = self
        return check


class Grade(StrEnum):
    """What a requirement is given; PASS is the only one that counts for the executor."""

    PASS = "pass"  # noqa: S105 - a grade
    WARN = "warn"  # a SHOULD is broken
    FAIL = "fail"  # a MUST is broken
    NOT_TESTED = "not-tested"  # a prerequisite is missing; counts against
    ERROR = "error"  # the suite itself is at fault


class BrokenError(Exception):
    """The executor does not do what the requirement demands; the sentence says what it did."""


class NotTestableError(Exception):
    """What the requirement builds on is not there; the sentence says what is missing."""


@dataclass(frozen=True)
class Exchange:
    """One call and its answer, shortened; `status` 0 where no answer came. Headers are not kept: they may be secret."""

    method: str
    path: str
    request: str
    status: int
    answer: str


@dataclass(frozen=True)
class Result:
    """What came of one requirement."""

    requirement_id: str
    verdict: Grade
    reason: str = ""
    duration_ms: int = 0
    exchanges: tuple[Exchange, ...] = ()

    def document(self) -> dict[str, Json]:
        """As plain JSON, for the report and for travelling between test processes."""
        return asdict(self) | {"verdict": str(self.verdict), "exchanges": [asdict(item) for item in self.exchanges]}

    @classmethod
    def read(cls, document: dict[str, Json]) -> Result:
        """The reverse of `document`."""
        exchanges = tuple(Exchange(**item) for item in document["exchanges"])
        return cls(**document | {"verdict": Grade(document["verdict"]), "exchanges": exchanges})


def grade_of(requirement: Requirement, error: BaseException | None) -> Grade:
    """The grade that the end of a check stands for."""
    match error:
        case None:
            return Grade.PASS
        case BrokenError():
            return Grade.FAIL if requirement.level is Level.MUST else Grade.WARN
        case NotTestableError():
            return Grade.NOT_TESTED
        case _:
            return Grade.ERROR
