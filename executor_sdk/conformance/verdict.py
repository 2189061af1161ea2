"""What came of a requirement: the verdict, its reason, and the exchanges that show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from executor_sdk.conformance.requirement import Level, Requirement
from executor_sdk.protocol.plain import Json


class Verdict(StrEnum):
    """PASS is the only one that counts for the executor."""

    PASS = "pass"  # noqa: S105 - a verdict
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
    """The verdict on one requirement."""

    requirement_id: str
    verdict: Verdict
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
        return cls(**document | {"verdict": Verdict(document["verdict"]), "exchanges": exchanges})


def verdict_of(requirement: Requirement, error: BaseException | None) -> Verdict:
    """The verdict that the end of a check stands for."""
    match error:
        case None:
            return Verdict.PASS
        case BrokenError():
            return Verdict.FAIL if requirement.level is Level.MUST else Verdict.WARN
        case NotTestableError():
            return Verdict.NOT_TESTED
        case _:
            return Verdict.ERROR
