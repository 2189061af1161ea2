"""Tests of what the suite says of executors that are no executors, slow, or guarded."""

from __future__ import annotations

import json

import pytest

from executor_sdk.asking.samples import Sample
from executor_sdk.conformance.examination import examine_all
from executor_sdk.conformance.report import conforms, document, summary
from executor_sdk.conformance.results import Grade, Result
from executor_sdk.conformance.target import Target
from executor_sdk.testing.server import serve
from tests.conformance.model import Json, ModelExecutor, Refusal

pytestmark = pytest.mark.anyio


class Nothing(ModelExecutor):
    """Answers 404 to everything."""

    async def route(self, method: str, path: str, body: bytes) -> tuple[int, Json]:
        raise Refusal(404, "NOT_FOUND", f"there is no {method} {path}")


class YesMan(ModelExecutor):
    """Answers 200 and an empty object to everything."""

    async def route(self, method: str, path: str, body: bytes) -> tuple[int, Json]:
        return 200, {}


class Picky(ModelExecutor):
    """Does only tasks with a city in their inputs."""

    def admit(self, request: dict[str, Json]) -> None:
        super().admit(request)
        if not isinstance(request["inputs"].get("city"), str):
            raise Refusal(422, "INVALID_INPUTS", "city is missing")


class Publishing(Picky):
    """The same, and publishes its schema."""

    def capabilities(self) -> dict[str, Json]:
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        return super().capabilities() | {"schemas": {"swarm": {"input": schema}}}


async def test_a_server_that_knows_nothing_scores_near_zero() -> None:
    """What builds on its answers is not tested, and counts against."""
    with serve(Nothing()) as served:
        results = await examine_all(Target(served.url))

    assert _passed(results) <= {"EXC-ERR-001", "EXC-ERR-002", "EXC-ERR-003", "EXC-ERR-004"}
    assert results["EXC-VERIFY-001"].verdict is Grade.NOT_TESTED
    assert not conforms(results)


async def test_a_server_that_says_yes_to_everything_scores_near_zero() -> None:
    """A 200 alone proves nothing."""
    with serve(YesMan()) as served:
        results = await examine_all(Target(served.url))

    assert _passed(results) == {"EXC-HEALTH-001"}


async def test_a_task_that_had_to_be_guessed_is_not_tested_rather_than_failed() -> None:
    """That the documents' inputs do not fit is no fault of the executor; the reason names the way out."""
    with serve(Picky()) as served:
        results = await examine_all(Target(served.url))

    assert results["EXC-EXEC-001"].verdict is Grade.NOT_TESTED
    assert "--executor-samples FILE" in results["EXC-EXEC-001"].reason
    assert [name for name, result in results.items() if result.verdict in (Grade.FAIL, Grade.ERROR)] == []


async def test_a_given_sample_that_is_refused_is_a_failure() -> None:
    """Whoever gives a sample says that it can be done."""
    with serve(Picky()) as served:
        results = await examine_all(Target(served.url, samples=(Sample("", "", {"town": "x"}, "file"),)))

    assert results["EXC-EXEC-001"].verdict is Grade.FAIL


@pytest.mark.parametrize(
    ("executor", "samples"), [(Picky, (Sample("swarm", "default", {"city": "Oslo"}, "file"),)), (Publishing, ())]
)
async def test_inputs_come_from_samples_or_from_the_published_schema(
    executor: type[ModelExecutor], samples: tuple[Sample, ...]
) -> None:
    """A narrow service is tested with tasks that it can do."""
    with serve(executor()) as served:
        results = await examine_all(Target(served.url, samples=samples))

    assert [result for result in results.values() if result.verdict is not Grade.PASS] == []


async def test_only_chosen_requirements_are_examined_and_the_rest_is_reported_untested() -> None:
    """A report never looks better than what was run."""
    with serve(ModelExecutor()) as served:
        target = Target(served.url)
        results = await examine_all(target, only="EXC-CAPS")

    report = document(results, address=target.address, capabilities=target.learned.capabilities)
    assert list(results) == ["EXC-CAPS-001", "EXC-CAPS-002"]
    assert (report["conforms"], report["score"]) == (False, {"passed": 2, "of": 34})
    assert report["requirements"][0]["reason"] == "not selected"
    assert json.loads(json.dumps(report)) == report
    assert "the executor does NOT conform: 2 of 34" in summary(results)[-1]


def test_credentials_of_the_address_are_never_shown() -> None:
    """They belong into the request only."""
    assert Target("https://user:secret@example.com:8443/base").address == "https://***@example.com:8443/base"


def test_a_result_travels_as_plain_json() -> None:
    """Between the processes of a distributed test run."""
    result = Result("EXC-EXEC-001", Grade.FAIL, "why", 3)

    assert Result.read(json.loads(json.dumps(result.document()))) == result


def _passed(results: dict[str, Result]) -> set[str]:
    return {name for name, result in results.items() if result.verdict is Grade.PASS}
