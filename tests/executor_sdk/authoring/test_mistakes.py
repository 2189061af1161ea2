"""Mistakes of authors are told while decorating, with a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from executor_sdk import Candidate, DefinitionError, Depends, Executor, Task, Verdict
from executor_sdk.errors import DuplicateHandlerError, HandlerSignatureError


class Ask(BaseModel):
    """Inputs."""

    url: str


class Finding(BaseModel):
    """An output that runs take."""

    answer: str


@pytest.fixture
def executor() -> Executor:
    """An executor without functions."""
    return Executor("acme", "m-1")


def two_inputs(a: str, b: int) -> Finding: ...  # type: ignore[empty-body]
def bare_string(url: str) -> Finding: ...  # type: ignore[empty-body]
def any_number(*asks: Ask) -> Finding: ...  # type: ignore[empty-body]
def any_names(**asks: Ask) -> Finding: ...  # type: ignore[empty-body]
def forgot_task(ask: Ask, task) -> Finding: ...  # type: ignore[empty-body,no-untyped-def]
def bare_task(task) -> Finding: ...  # type: ignore[empty-body,no-untyped-def]
def nothing_back(ask: Ask) -> None: ...
def no_answer(ask: Ask) -> Ask: ...  # type: ignore[empty-body]
def a_list(ask: Ask) -> list[str]: ...  # type: ignore[empty-body]
def unknown_name(ask: Missing) -> Finding: ...  # type: ignore[empty-body,name-defined]  # noqa: F821
def no_json(ask: Callable[[], int]) -> Finding: ...  # type: ignore[empty-body]


class Numbered(BaseModel):
    """An output whose answer is a number."""

    answer: int


class Doubtful(BaseModel):
    """An output whose confidence is a word."""

    answer: str
    confidence: Literal["high", "low"]


class Optional(BaseModel):
    """An output whose answer may be left out by a caller of the model, but is always sent."""

    answer: str = "none"


def number_as_answer(ask: Ask) -> Numbered: ...  # type: ignore[empty-body]
def word_as_confidence(ask: Ask) -> Doubtful: ...  # type: ignore[empty-body]
def one_without(ask: Ask) -> Finding | Ask: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (two_inputs, "put all inputs into one model"),
        (bare_string, "an object, never a bare string"),
        (any_number, r"what to pass as \*asks"),
        (any_names, r"what to pass as \*asks"),
        (forgot_task, "annotate the task as `task: Task`"),
        (bare_task, "annotate the task, as `task: Task`"),
        (nothing_back, "return the output"),
        (unknown_name, "'Missing' is not known when the decorator runs"),
        (no_json, "has no JSON form"),
    ],
)
def test_a_signature_that_cannot_work_is_refused(
    executor: Executor, function: Callable[..., Any], sentence: str
) -> None:
    """The message names the function and what to write."""
    with pytest.raises(HandlerSignatureError, match=sentence) as told:
        executor.execute("t")(function)

    assert function.__name__ in str(told.value)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (no_answer, "add `answer: str`"),
        (a_list, "return a model with `answer: str`"),
        (number_as_answer, "`answer` of its output is integer"),
        (word_as_confidence, "`confidence` of its output is string"),
        (one_without, "add `answer: str`"),
    ],
)
def test_an_output_that_no_run_takes_is_refused(
    executor: Executor, function: Callable[..., Any], sentence: str
) -> None:
    """Every run's contract demands a string `answer`; `needs_answer=False` is for task types that no run uses."""
    with pytest.raises(DefinitionError, match=sentence):
        executor.execute("t")(function)

    assert executor.execute("t", needs_answer=False)(function) is function


def test_an_answer_with_a_default_is_always_sent(executor: Executor) -> None:
    """So it is as good as a required one."""

    @executor.execute("t")
    def defaulted(ask: Ask) -> Optional:
        return Optional()


def test_two_handlers_for_one_task_type_are_refused(executor: Executor) -> None:
    """Another profile is fine; the same is not."""

    @executor.execute("t")
    def first(ask: Ask) -> Finding: ...  # type: ignore[empty-body]

    @executor.execute("t", profiles=("fast",))
    def second(ask: Ask) -> Finding: ...  # type: ignore[empty-body]

    with pytest.raises(DuplicateHandlerError, match="second and third both want task type 't' in profile 'fast'"):

        @executor.execute("t", profiles=("slow", "fast"))
        def third(ask: Ask) -> Finding: ...  # type: ignore[empty-body]

    assert executor.registry.profiles == ["default", "fast"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"profiles": "fast"}, r"write profiles=\('fast',\)"),
        ({"profiles": ()}, "blank name or none"),
        ({"profiles": ("  ",)}, "blank name or none"),
        (
            {"timeout_s": "60"},
            r"^@executor.execute\('t'\): the option timeout_s is '60'; it must be .*: write timeout_s=60$",
        ),
        ({"timeout_s": 0}, "timeout_s is 0; it must be a number of seconds, at least 0.001: write timeout_s=60"),
        ({"timeout_s": float("inf")}, "timeout_s is inf; it must be a number of seconds"),
        (
            {"max_concurrency": 0},
            "max_concurrency is 0; it must be a whole number, at least 1: write max_concurrency=8",
        ),
        ({"max_concurrency": True}, "max_concurrency is True; it must be a whole number"),
        ({"linger_s": -1}, "linger_s is -1; it must be a number of seconds, at least 0"),
        ({"adopt": "no"}, "adopt is 'no'; it must be True or False: write adopt=False"),
        ({"timeout": 60}, r"^@executor.execute\('t'\): no option is named 'timeout'; did you mean timeout_s\?$"),
        ({"profile": "fast"}, "did you mean profiles"),
        ({"xyzzy": 1}, "there are: profiles, timeout_s, max_concurrency, adopt, linger_s, needs_answer"),
    ],
)
def test_options_that_make_no_sense_are_refused(executor: Executor, options: dict[str, Any], sentence: str) -> None:
    """The message says what to give instead."""
    with pytest.raises(DefinitionError, match=sentence):

        @executor.execute("t", **options)
        def handler(ask: Ask) -> Finding: ...  # type: ignore[empty-body]


def test_a_blank_task_type_is_refused(executor: Executor) -> None:
    """Kernels ask by task type."""
    with pytest.raises(DefinitionError, match="task type is blank"):

        @executor.execute(" ")
        def handler(ask: Ask) -> Finding: ...  # type: ignore[empty-body]


def test_something_that_is_no_function_is_refused(executor: Executor) -> None:
    """A static method is no function yet."""
    with pytest.raises(DefinitionError, match="stands above a staticmethod"):
        executor.execute("t")(staticmethod(two_inputs))


def test_a_name_must_not_be_blank() -> None:
    """Kernels keep reputation under both names."""
    with pytest.raises(DefinitionError, match="model_id is blank"):
        Executor("acme", " ")


def test_an_unknown_option_is_refused_with_a_guess() -> None:
    """A mistyped option must not be silently without effect."""
    with pytest.raises(DefinitionError, match="did you mean timeout_s"):
        Executor("acme", "m-1", timeout=5)  # type: ignore[call-arg]


def test_a_verifier_must_take_a_candidate(executor: Executor) -> None:
    """And give back a verdict; and there is one only."""
    with pytest.raises(HandlerSignatureError, match="candidate: Candidate"):

        @executor.verify
        def without() -> Verdict: ...  # type: ignore[empty-body]

    with pytest.raises(HandlerSignatureError, match="-> Verdict"):

        @executor.verify
        def yes_or_no(candidate: Candidate[Finding]) -> bool: ...  # type: ignore[empty-body]

    with pytest.raises(HandlerSignatureError, match="nobody can supply 'task'; annotate it as `Candidate`"):

        @executor.verify
        def with_task(candidate: Candidate[Finding], task: Task) -> Verdict: ...  # type: ignore[empty-body]

    @executor.verify
    def good(candidate: Candidate[Finding]) -> Verdict: ...  # type: ignore[empty-body]

    with pytest.raises(DuplicateHandlerError, match="good verifies already"):
        executor.verify(good)


def test_dependencies_are_checked_while_decorating(executor: Executor) -> None:
    """What nobody can supply, a circle, and a value in place of a function."""

    def needs_more(size: int) -> str: ...  # type: ignore[empty-body]

    with pytest.raises(HandlerSignatureError, match="needs_more: nobody can supply 'size'"):

        @executor.execute("t")
        def first(ask: Ask, store: Annotated[str, Depends(needs_more)]) -> Finding: ...  # type: ignore[empty-body]

    with pytest.raises(HandlerSignatureError, match="go in a circle: ping -> pong -> ping"):

        @executor.execute("t")
        def second(ask: Ask, store: Annotated[str, Depends(ping)]) -> Finding: ...  # type: ignore[empty-body]

    with pytest.raises(HandlerSignatureError, match=r"write Depends\(make_it\)"):
        Depends("store")  # type: ignore[arg-type]


def ping(other: Annotated[str, Depends(lambda: pong)]) -> str: ...  # type: ignore[empty-body]
def pong(other: Annotated[str, Depends(ping)]) -> str: ...  # type: ignore[empty-body]


ping.__annotations__["other"] = Annotated[str, Depends(pong)]


def test_there_is_one_health_check(executor: Executor) -> None:
    """And all its parameters are injected."""

    @executor.health
    def check() -> bool: ...  # type: ignore[empty-body]

    with pytest.raises(DuplicateHandlerError, match="a health check is there already"):
        executor.health(check)
    with pytest.raises(HandlerSignatureError, match=r"nobody can supply 'size'; annotate it as `Annotated"):

        @executor.health
        def sized(size: int) -> bool: ...  # type: ignore[empty-body]


def test_a_generator_of_a_type_without_json_is_refused(executor: Executor) -> None:
    """The output must have a JSON form as well as the inputs."""

    def odd(ask: Ask) -> Callable[[], int]: ...  # type: ignore[empty-body]

    with pytest.raises(HandlerSignatureError, match="has no JSON form"):
        executor.execute("t")(odd)
