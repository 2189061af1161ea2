"""Examining a target: one requirement or all of them, with or without pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio

from executor_sdk.conformance.manifest import PROOFS, REQUIREMENTS
from executor_sdk.conformance.results import Grade, NotTestableError, Requirement, Result, grade_of
from executor_sdk.conformance.target import Probe, Target, client


async def examine_all(
    target: Target, *, only: str = "", begins: Callable[[Requirement], None] = lambda _: None
) -> dict[str, Result]:
    """The results of every requirement whose id begins with `only`, in the order of the manifest; `begins` hears of
    each before its check."""
    results: dict[str, Result] = {}
    for requirement in REQUIREMENTS:
        if requirement.id.startswith(only):
            begins(requirement)
            results[requirement.id], _ = await examine(requirement, target, results)
    return results


async def examine(
    requirement: Requirement, target: Target, before: Mapping[str, Result]
) -> tuple[Result, Exception | None]:
    """The result of one check, and what it raised; what could not be tested `before` leaves its followers untested."""
    earlier = before.get(requirement.prerequisite or "")
    if earlier is not None and earlier.verdict is Grade.NOT_TESTED:
        missing = f"builds on {earlier.requirement_id}, which could not be tested"
        return Result(requirement.id, Grade.NOT_TESTED, missing), NotTestableError(missing)
    started_s = anyio.current_time()
    async with client(target) as http:
        probe = Probe(target, http)
        error: Exception | None = None
        try:
            await PROOFS[requirement](probe)
        except Exception as raised:  # noqa: BLE001 - a verdict, told with its trace by the caller
            error = raised
    result = Result(
        requirement_id=requirement.id,
        verdict=grade_of(requirement, error),
        reason="" if error is None else str(error) or type(error).__name__,
        duration_ms=round((anyio.current_time() - started_s) * 1_000),
        exchanges=tuple(probe.exchanges),
    )
    return result, error
