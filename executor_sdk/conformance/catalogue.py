"""Which check proves which requirement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Final, TypeAlias, TypeVar

from executor_sdk.conformance.target import Probe

Check: TypeAlias = Callable[[Probe], Awaitable[None]]
C = TypeVar("C", bound=Check)

_MARK: Final = "__requirement__"


def proves(requirement_id: str) -> Callable[[C], C]:
    """Mark a check with the requirement that it proves."""

    def mark(check: C) -> C:
        setattr(check, _MARK, requirement_id)
        return check

    return mark


def checks() -> dict[str, Check]:
    """Every check of the suite by the id of its requirement.

    Raises:
        ValueError: two checks claim the same requirement.
    """
    found: dict[str, Check] = {}
    for module in _areas():
        for check in vars(module).values():
            requirement_id = getattr(check, _MARK, None)
            if requirement_id is None:
                continue
            if requirement_id in found:
                raise ValueError(f"two checks prove {requirement_id}")
            found[requirement_id] = check
    return found


def _areas() -> tuple[ModuleType, ...]:
    # Imported here: a check imports `proves` from this module.
    from executor_sdk.conformance.suite import capabilities, copies, execute, health, load, refusals, verify

    return (health, capabilities, execute, copies, refusals, verify, load)
