"""What an executor takes over of another: everything, or nothing of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from executor_sdk import Candidate, DefinitionError, Executor, Verdict, execute, in_process
from executor_sdk.errors import DuplicateHandlerError

log: list[str] = []


class Pools:
    """A state."""


async def pools(executor: Executor) -> AsyncIterator[Pools]:
    """Its lifespan, which says for whom it opens."""
    log.append(f"open for {executor.registry.model_id}")
    yield Pools()


def other_pools() -> Any:
    """Another lifespan of the same type."""

    async def more_pools() -> AsyncIterator[Pools]:
        yield Pools()

    return more_pools


async def answers(inputs: dict[str, Any]) -> dict[str, Any]:
    """A handler."""
    return {"answer": "answers"}


async def judges(candidate: Candidate[dict[str, Any]]) -> Verdict:
    """A verifier."""
    return Verdict.failed(1001, "judged")


def is_well() -> bool:
    """A health check."""
    log.append("asked")
    return True


@pytest.fixture
def reports() -> Executor:
    """An executor that has one of everything."""
    log.clear()
    reports = Executor("acme", "reports", lifespan=pools, timeout_s=3)
    reports.execute("report", profiles=("fast",))(answers)
    reports.verify(judges)
    reports.health(is_well)

    @reports.execute("stated")
    async def stated(pools: Pools) -> dict[str, Any]:
        return {"answer": type(pools).__name__}

    return reports


def test_all_that_another_executor_does_is_taken_over(reports: Executor) -> None:
    """Names and settings stay those of the one that includes."""
    main = Executor("acme", "main", timeout_s=9)
    assert main.include(reports) is reports
    main.execute("swarm")(answers)

    with in_process(main) as rt:
        done = rt.execute({}, task_type="report", profile="fast")
        assert rt.verify(done).message == "judged"
        assert rt.execute({}, task_type="stated").output == {"answer": "Pools"}
        rt.call(rt.client.health)
        said = rt.capabilities()

    assert (said["model_id"], said["task_types"]) == ("main", ["report", "stated", "swarm"])
    assert [one["timeout_s"] for one in said["handlers"]] == [9, 9, 9]
    assert log == ["open for reports", "asked"]


def test_a_lifespan_of_both_is_opened_once(reports: Executor) -> None:
    """Two modules may name the same one."""
    main = Executor("acme", "main", lifespan=pools)
    main.include(reports)

    with in_process(main) as rt:
        rt.execute({}, task_type="stated")

    assert log == ["open for main"]


def clash_of_handlers(main: Executor) -> None:
    """The same task type and profile."""

    @main.execute("report", profiles=("slow", "fast"))
    async def mine(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": "mine"}


def clash_of_verifiers(main: Executor) -> None:
    """One too many."""

    @main.verify
    async def mine(candidate: Candidate[dict[str, Any]]) -> Verdict:
        return Verdict.passed()


def clash_of_health_checks(main: Executor) -> None:
    """One too many."""

    @main.health
    def mine() -> bool:
        return True


@pytest.mark.parametrize(
    ("clash", "sentence"),
    [
        (clash_of_handlers, "mine and answers both want task type 'report' in profile 'fast'"),
        (clash_of_verifiers, "mine verifies already all .* above judges"),
        (clash_of_health_checks, "a health check is there already, mine; .* and call is_well"),
    ],
)
def test_a_clash_names_both_functions(reports: Executor, clash: Any, sentence: str) -> None:
    """And nothing is taken over."""
    main = Executor("acme", "main")
    clash(main)
    before = main.registry.task_types

    with pytest.raises(DuplicateHandlerError, match=sentence):
        main.include(reports)

    assert main.registry.task_types == before
    assert main.registry.lifespans == []


def test_two_lifespans_of_one_type_clash(reports: Executor) -> None:
    """Functions could not tell them apart."""
    main = Executor("acme", "main", lifespan=other_pools())

    with pytest.raises(DefinitionError, match="more_pools and pools both yield Pools"):
        main.include(reports)


def test_an_executor_does_not_include_itself(reports: Executor) -> None:
    """Nor the same class or executor twice."""
    with pytest.raises(DefinitionError, match="takes another executor or a class, and this is itself"):
        reports.include(reports)

    class Once:
        @execute("once")
        async def once(self) -> dict[str, Any]:
            return {"answer": "x"}

    reports.include(Once)
    with pytest.raises(DuplicateHandlerError, match=r"Once\.once and Once\.once both want"):
        reports.include(Once)
