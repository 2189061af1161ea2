"""Several verifiers of one executor: which of them judges a candidate, and what cannot stand side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from executor_sdk import Candidate, DefinitionError, Executor, Task, TryLater, Verdict, in_process, verify
from executor_sdk.errors import DuplicateHandlerError
from executor_sdk.testing.process import Done

Judge = Callable[..., Verdict]


class Forecast(BaseModel):
    """One output."""

    answer: str
    trend: float


class Review(BaseModel):
    """Another one."""

    answer: str
    stars: int


def says(word: str, kind: Any = Any) -> Judge:
    """A verifier that fails with a word and the task type that it was told."""

    def judge(candidate: Candidate) -> Verdict:  # type: ignore[type-arg]
        return Verdict.failed(1001, f"{word} on {candidate.task_type}")

    judge.__annotations__["candidate"] = Candidate[kind]
    judge.__name__ = judge.__qualname__ = word
    return judge


def working(*task_types: str, **options: Any) -> Executor:
    """An executor whose outputs fit both models."""
    executor = Executor("acme", "m-1", **options)
    for one in task_types:
        executor.execute(one)(both)
    return executor


async def both() -> dict[str, Any]:
    """An output that fits both models."""
    return {"answer": "x", "trend": 0.5, "stars": 3}


def judged(executor: Executor, done: Done, **output: Any) -> tuple[str, list[int], str]:
    """What the executor says of a candidate that it, or another one, has proposed."""
    with in_process(executor) as rt:
        verdict = rt.verify(done, output=output or None)
    return verdict.status, verdict.reason_codes, verdict.message


@pytest.fixture(scope="module")
def foreign() -> Done:
    """What another executor has done."""
    with in_process(working("forecast")) as rt:
        return rt.execute({})


def test_the_verifier_of_the_task_type_judges_what_was_executed_here() -> None:
    """Whatever the output looks like; the bare one judges the rest."""
    executor = working("forecast", "review", "letter", "swarm")
    executor.verify("forecast")(says("forecasts"))
    executor.verify("review", "letter")(says("texts"))
    executor.verify(says("others"))

    with in_process(executor) as rt:
        messages = [rt.verify(rt.execute({}, task_type=one)).message for one in executor.registry.task_types]
        told = rt.capabilities()

    assert messages == ["forecasts on forecast", "texts on review", "texts on letter", "others on swarm"]
    assert [one["task_types"] for one in told["verifiers"]] == [["forecast"], ["review", "letter"], None]


def test_a_task_type_that_nobody_verifies_is_left_to_the_policy() -> None:
    """Also where the output would fit a verifier's model."""
    executor = working("forecast", "review")
    executor.verify("forecast")(says("forecasts", Forecast))

    with in_process(executor) as rt:
        assert rt.verify(rt.execute({}, task_type="review")).status == "passed"
        assert rt.verify(rt.execute({}, task_type="forecast")).status == "failed"


def test_an_output_that_its_verifier_does_not_take_fails() -> None:
    """No other verifier gets it."""
    executor = working("forecast", "review")
    executor.verify("forecast")(says("forecasts", Forecast))
    executor.verify("review")(says("reviews", Review))

    with in_process(executor) as rt:
        verdict = rt.verify(rt.execute({}, task_type="forecast"), output={"answer": "x", "stars": 3})

    assert (verdict.status, verdict.reason_codes) == ("failed", [101])
    assert "trend" in verdict.message


def test_one_verifier_for_several_task_types_is_told_which() -> None:
    """Of a candidate that was proposed elsewhere, too, where the ledger is the same."""
    executor = working("forecast", "review")
    executor.verify(says("all"))

    with in_process(executor) as rt:
        assert rt.verify(rt.execute({}, task_type="review")).message == "all on review"


def test_later_attempts_and_refused_work_have_a_task_type_too() -> None:
    """Copies and attempts that adopt work are asks of that work."""
    executor = working("swarm")

    @executor.execute("forecast")
    async def forecast(task: Task) -> Forecast:
        raise TryLater("not yet")

    executor.verify("forecast")(says("forecasts"))
    with in_process(executor) as rt:
        done = rt.execute({}, task_type="swarm")
        request = {**done.request, "task_type": "forecast", "execution_id": "exec-p-other"}
        assert rt.send("/execute", request).status == 503
        assert rt.verify(Done(done.output, (), (), done.answer, request)).message == "forecasts on forecast"


def test_processes_that_share_a_ledger_know_each_others_work(tmp_path: Path) -> None:
    """The one that verifies need not execute the task type at all."""
    ledger = str(tmp_path / "ledger.sqlite")
    verifying = Executor("acme", "m-2")
    verifying.verify("forecast")(says("forecasts"))
    verifying.verify("review")(says("reviews"))

    with in_process(working("review", "forecast"), ledger=ledger) as rt:
        done = rt.execute({}, task_type="review")
        with in_process(verifying, ledger=ledger) as other:
            assert other.verify(done).message == "reviews on review"


def test_elsewhere_the_model_tells(foreign: Done) -> None:
    """One that names no model takes anything, and comes last."""
    executor = Executor("acme", "m-1")
    executor.verify("forecast")(says("forecasts", Forecast))
    executor.verify("review")(says("reviews", Review))
    executor.verify(says("others"))

    assert judged(executor, foreign, answer="x", stars=3)[2] == "reviews on None"
    assert judged(executor, foreign, answer="x", trend=3)[2] == "forecasts on None"
    assert judged(executor, foreign, answer="x")[2] == "others on None"


def test_nobody_guesses_between_two(foreign: Done) -> None:
    """Inconclusive, and the sentence names who might have judged."""
    executor = Executor("acme", "m-1")
    executor.verify("forecast", "trend")(says("forecasts", Forecast))
    executor.verify("review")(says("reviews", Review))
    executor.verify(says("others"))

    status, codes, message = judged(executor, foreign)

    assert (status, codes) == ("inconclusive", [200])
    assert "fits several of the verifiers: forecasts (forecast, trend), reviews (review);" in message


@pytest.mark.parametrize(("kinds", "fits"), [((Forecast, Review), "fits none"), ((Any, Any), "fits several")])
def test_without_a_model_that_tells_it_is_inconclusive(foreign: Done, kinds: tuple[Any, Any], fits: str) -> None:
    """Such a candidate may be of a task type that nobody here verifies."""
    executor = Executor("acme", "m-1")
    executor.verify("forecast")(says("forecasts", kinds[0]))
    executor.verify("review")(says("reviews", kinds[1]))

    status, codes, message = judged(executor, foreign, answer="x")

    assert (status, codes) == ("inconclusive", [200])
    assert fits in message


def test_where_all_would_fail_it_one_fails_it(foreign: Done) -> None:
    """With a bare verifier every task type has one, and none of them takes this output."""
    executor = Executor("acme", "m-1")
    executor.verify("forecast")(says("forecasts", Forecast))
    executor.verify(says("others", Review))

    assert judged(executor, foreign, answer="x")[:2] == ("failed", [101])


def test_a_function_under_two_decorators_is_one_verifier(foreign: Done) -> None:
    """Whichever way it was chosen, the same function judges."""
    executor = Executor("acme", "m-1")
    executor.verify("forecast")(executor.verify("trend")(says("both", Forecast)))

    assert judged(executor, foreign)[2] == "both on None"


def test_methods_verify_task_types() -> None:
    """As functions do."""
    executor = working("forecast", "review")

    @executor.include
    class Checks:
        @verify("forecast")
        async def forecasts(self, candidate: Candidate[Forecast]) -> Verdict:
            return Verdict.failed(1001, "by a method")

        @verify
        async def others(self, candidate: Candidate[Any]) -> Verdict:
            return Verdict.failed(1001, "by another")

    with in_process(executor) as rt:
        messages = [rt.verify(rt.execute({}, task_type=one)).message for one in ("forecast", "review")]
    assert messages == ["by a method", "by another"]


class Why(IntEnum):
    """Own codes of one module."""

    FALLING = 1001
    FLAT = 1002


class Because(IntEnum):
    """Own codes of another one, which agree in part."""

    FLAT = 1002
    RUDE = 1003


class Odd(IntEnum):
    """Own codes that contradict."""

    ROUND = 1001


def with_codes(codes: type[IntEnum], task_type: str) -> Executor:
    """An executor whose verifier names these codes."""
    executor = Executor("acme", codes.__name__)

    @executor.verify(task_type)
    def judge(candidate: Candidate[Any]) -> Verdict:
        return Verdict.failed(int(next(iter(codes))))

    return executor


def test_own_codes_of_all_verifiers_are_published() -> None:
    """One number stands for one thing."""
    executor = with_codes(Why, "forecast")
    executor.include(with_codes(Because, "review"))

    assert executor.registry.capabilities(executor.settings)["reason_codes"] == {
        "1001": "FALLING",
        "1002": "FLAT",
        "1003": "RUDE",
    }
    with pytest.raises(DuplicateHandlerError, match="code 1001 is FALLING in judge and ROUND in judge"):
        executor.include(with_codes(Odd, "letter"))


def the_same_twice(executor: Executor) -> Iterator[None]:
    """A task type of two functions."""
    executor.verify("a", "b")(says("first"))
    yield
    executor.verify("c", "b")(says("second"))


def two_for_the_rest(executor: Executor) -> Iterator[None]:
    """Two bare ones."""
    executor.verify(says("first"))
    yield
    executor.verify()(says("second"))


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (the_same_twice, "first and second both want to verify task type 'b'"),
        (two_for_the_rest, "first verifies already all .* above second"),
    ],
)
def test_a_clash_names_both(declare: Callable[[Executor], Iterator[None]], sentence: str) -> None:
    """And the second is not taken in, in part neither."""
    executor = Executor("acme", "m-1")
    steps = declare(executor)
    next(steps)

    with pytest.raises(DuplicateHandlerError, match=sentence):
        next(steps)

    assert len(executor.registry.verifiers) == 1
    executor.verify("c")(says("third"))


@pytest.mark.parametrize(
    ("decorate", "sentence"),
    [
        (lambda executor: executor.verify(["a"]), r"a task type is text, not a list; write @executor.verify\('swarm'"),
        (lambda executor: executor.verify("a", 3), "a task type is text, not an int"),
        (lambda executor: executor.verify(" "), "the task type is blank"),
        (lambda executor: executor.verify(task_type="a"), "has no option 'task_type'; write the task types only"),
    ],
)
def test_names_that_are_none_are_told(decorate: Callable[[Any], Any], sentence: str) -> None:
    """While decorating."""
    with pytest.raises(DefinitionError, match=sentence):
        decorate(Executor("acme", "m-1"))(says("mine"))
