"""Examining a target: one requirement or all of them, with or without pytest."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from executor_sdk.conformance.manifest import PROOFS, REQUIREMENTS
from executor_sdk.conformance.results import Grade, NotTestableError, Requirement, Result, grade_of
from executor_sdk.conformance.target import Check, Probe, Target, client


async def examine_all(target: Target, *, only: str = "") -> dict[str, Result]:
    """The results of every requirement whose id begins with `only`, in the order of the manifest."""
    results: dict[str, Result] = {}
    for requirement in REQUIREMENTS:
        if requirement.id.startswith(only):
            results[requirement.id], _ = await examine(requirement, target, results)
    return results


async def examine(
    requirement: Requirement, target: Target, before: Mapping[str, Result]
) -> tuple[Result, Exception | None]:
    """The result of one check, and what it raised; what could not be tested `before` leaves its followers untested."""
    missing = _missing(requirement, before)
    if missing is not None:
        return Result(requirement.id, Grade.NOT_TESTED, missing), NotTestableError(missing)
    started_s = anyio.current_time()
    async with client(target) as http:
        probe = Probe(target, http)
        error = await _error_of(PROOFS[requirement], probe)
    result = Result(
        requirement_id=requirement.id,
        verdict=grade_of(requirement, error),
        reason="" if error is None else str(error) or type(error).__name__,
        duration_ms=round((anyio.current_time() - started_s) * 1_000),
        exchanges=tuple(probe.exchanges),
    )
    return result, error


async def _error_of(check: Check, probe: Probe) -> Exception | None:
    try:
        await check(probe)
    except Exception as error:  # noqa: BLE001 - a verdict, told with its trace by whoever asked for the examination
        return error
    return None


def _missing(requirement: Requirement, before: Mapping[str, Result]) -> str | None:
    needed = requirement.prerequisite
    earlier = before.get(needed) if needed else None
    if earlier is None or earlier.verdict is not Grade.NOT_TESTED:
        return None
    return f"builds on {needed}, which could not be tested"
