"""A check: one function that proves one requirement against an executor, marked with its id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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


def proven_by(check: object) -> str | None:
    """The id of the requirement that `check` proves; None for what is no check."""
    requirement_id: str | None = getattr(check, _MARK, None)
    return requirement_id
