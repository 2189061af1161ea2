"""Which check proves which requirement."""

from __future__ import annotations

from typing import Final

from executor_sdk.conformance.check import Check, proven_by
from executor_sdk.conformance.suite import capabilities, copies, execute, health, load, refusals, verify

_AREAS: Final = (health, capabilities, execute, copies, refusals, verify, load)


def checks() -> dict[str, Check]:
    """Every check of the suite by the id of its requirement.

    Raises:
        ValueError: two checks claim the same requirement.
    """
    found: dict[str, Check] = {}
    for area in _AREAS:
        for check in vars(area).values():
            requirement_id = proven_by(check)
            if requirement_id is None:
                continue
            if requirement_id in found:
                raise ValueError(f"two checks prove {requirement_id}")
            found[requirement_id] = check
    return found
