"""Tests of the suite against executors in plain ASGI: the good one passes, each bad one fails one requirement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor_sdk.conformance.examination import examine_all
from executor_sdk.conformance.manifest import REQUIREMENTS
from executor_sdk.conformance.results import Grade, Level, Requirement, Result
from executor_sdk.conformance.target import Target
from executor_sdk.testing.server import serve
from tests.conformance.model import ModelExecutor
from tests.conformance.mutants import MUTANTS

pytestmark = pytest.mark.anyio


@pytest.fixture
def good() -> Iterator[Target]:
    """The good executor, served."""
    with serve(ModelExecutor()) as served:
        yield Target(served.url)


async def test_a_good_executor_passes_everything(good: Target) -> None:
    """It shares no code with the kit."""
    results = await examine_all(good)

    assert _unpassed(results) == {}
    assert list(results) == [requirement.id for requirement in REQUIREMENTS]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=[requirement.id for requirement in REQUIREMENTS])
async def test_a_bad_executor_fails_its_requirement_and_no_other(requirement: Requirement) -> None:
    """A requirement that no fault can break proves nothing; one that several break names none of them."""
    expected = Grade.FAIL if requirement.level is Level.MUST else Grade.WARN

    with serve(MUTANTS[requirement.id]()) as served:
        results = await examine_all(Target(served.url))

    assert {requirement.id: expected} == {name: result.verdict for name, result in _unpassed(results).items()}, [
        result.reason for result in _unpassed(results).values()
    ]


def _unpassed(results: dict[str, Result]) -> dict[str, Result]:
    return {name: result for name, result in results.items() if result.verdict is not Grade.PASS}
