"""The requirements, in the order in which they are tested, each with the check that proves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from executor_sdk.conformance.results import Requirement
from executor_sdk.conformance.suite import copies, discovery, execute, load, refusals, verify
from executor_sdk.conformance.target import Check

_AREAS: Final = (discovery, execute, copies, refusals, verify, load)

PROOFS: Final[Mapping[Requirement, Check]] = {
    check.requirement: check for area in _AREAS for check in vars(area).values() if hasattr(check, "requirement")
}

REQUIREMENTS: Final = tuple(PROOFS)
