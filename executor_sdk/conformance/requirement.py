"""One requirement of the suite: its name, how binding it is, what it quotes, and the fault that only it must catch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How binding a requirement is: breaking a MUST breaks runs, breaking a SHOULD is a warning."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class Source(StrEnum):
    """Where a requirement comes from."""

    DOCUMENTS = "documents"  # the kernel's public documentation, or its source where that decides
    RECORDING = "recording"  # what the running kernel was seen to send or refuse
    OURS = "ours"  # neither says anything; the executor contract of this kit does


@dataclass(frozen=True)
class Requirement:
    """A line of the manifest. `id` is EXC-AREA-NNN and never reused; everything else may be corrected."""

    id: str
    level: Level
    title: str
    quote: str
    source: Source
    #: The requirement without which this one cannot be tested; it is then not tested, and that counts against.
    prerequisite: str | None
    #: What an executor does that breaks this requirement and no other; the suite's own tests build each of them.
    mutant: str
