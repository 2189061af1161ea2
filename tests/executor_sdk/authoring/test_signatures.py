"""Any shape of function that can work does work, with postponed annotations and local classes too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from executor_sdk import Depends, Executor, Task, in_process


class Finding(BaseModel):
    """An output."""

    answer: str


@pytest.fixture
def executor() -> Executor:
    """An executor without functions."""
    return Executor("acme", "m-1")


def test_models_local_to_a_function_are_found(executor: Executor) -> None:
    """Postponed annotations name them by strings only."""

    class Local(BaseModel):
        size: int

    @executor.execute("swarm")
    def handler(local: Local, task: Task) -> Finding:
        return Finding(answer=str(local.size + 1))

    with in_process(executor) as rt:
        assert rt.execute({"size": 4}).output == Finding(answer="5")


def test_models_local_to_an_outer_function_are_found(executor: Executor) -> None:
    """As when a factory of executors decorates inside another function."""

    class Outer(BaseModel):
        size: int

    def decorate() -> None:
        @executor.execute
        async def handler(outer: Outer) -> Finding:
            return Finding(answer=str(outer.size))

    decorate()
    with in_process(executor) as rt:
        assert rt.execute({"size": 4}).output.answer == "4"


def test_what_is_injected_never_reaches_the_schema(executor: Executor) -> None:
    """A caller can neither see it nor set it."""

    class Ask(BaseModel):
        url: str

    def opened(task: Task) -> str:
        return f"opened for {task.agent_id}"

    @executor.execute("swarm")
    async def handler(*, store: Annotated[str, Depends(opened)], ask: Ask, task: Task) -> Finding:
        return Finding(answer=f"{ask.url} {store}")

    with in_process(executor) as rt:
        schema = rt.capabilities()["handlers"][0]["input_schema"]
        done = rt.execute({"url": "u", "store": "mine", "task": 1}, agent_id="a")

    assert list(schema["properties"]) == ["url"]
    assert done.output.answer == "u opened for a"


class Strict(BaseModel):
    """Inputs that allow nothing else."""

    model_config = ConfigDict(extra="forbid")

    url: str


class WithPrompt(Strict):
    """Inputs that ask for one of the kernel's own keys, under another name."""

    text: str = Field(alias="prompt")


def test_the_kernels_own_keys_do_not_break_a_strict_model(executor: Executor) -> None:
    """They reach a model only where it declares them; an unknown key of the run's own is still refused."""

    @executor.execute("strict")
    def strict(ask: Strict) -> Finding:
        return Finding(answer=ask.url)

    @executor.execute("prompted")
    def prompted(ask: WithPrompt) -> Finding:
        return Finding(answer=ask.text)

    inputs = {
        "url": "u",
        "agent_id": "a",
        "prompt": "p",
        "swarm_scope": {},
        "swarm_route": {},
        "_aggregation_signal": {},
        "_run_queue_coordination": {},
    }
    with in_process(executor) as rt:
        assert rt.execute(inputs, task_type="strict").output.answer == "u"
        assert rt.execute(inputs, task_type="prompted").output.answer == "p"
        with pytest.raises(Exception, match=r"inputs\.topic"):
            rt.execute({**inputs, "topic": "t"}, task_type="strict")


@dataclass
class Point:
    """Inputs as a dataclass."""

    x: int


class Named(TypedDict):
    """Inputs as a typed dict."""

    name: str


def test_dataclasses_typed_dicts_and_plain_dicts_are_inputs(executor: Executor) -> None:
    """Plain dicts come as they were sent, the kernel's keys among them."""

    @executor.execute("dataclass")
    def of_point(point: Point) -> Finding:
        return Finding(answer=str(point.x))

    @executor.execute("typed")
    def of_named(named: Named) -> Finding:
        return Finding(answer=named["name"])

    @executor.execute("plain")
    def of_dict(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": ",".join(sorted(inputs))}

    @executor.execute("untyped")
    def of_anything(inputs):  # type: ignore[no-untyped-def]
        return {"answer": str(inputs["x"])}

    with in_process(executor) as rt:
        assert rt.execute({"x": 1}, task_type="dataclass").output.answer == "1"
        assert rt.execute({"name": "n"}, task_type="typed").output.answer == "n"
        assert rt.execute({"x": 1}, task_type="plain", prompt="p").output == {"answer": "prompt,x"}
        assert rt.execute({"x": 1}, task_type="untyped").output == {"answer": "1"}


def test_a_handler_may_want_no_inputs_at_all(executor: Executor) -> None:
    """The task has everything."""

    @executor.execute
    async def handler(task: Task) -> Finding:
        return Finding(answer=task.prompt or "")

    with in_process(executor) as rt:
        assert rt.execute({}, prompt="p").output.answer == "p"


def test_partials_and_callable_objects_are_handlers(executor: Executor) -> None:
    """Whatever can be called with a task."""

    def scaled(factor: int, /, point: Point) -> Finding:
        return Finding(answer=str(point.x * factor))

    class Doubler:
        async def __call__(self, point: Point) -> Finding:
            return Finding(answer=str(point.x * 2))

    executor.execute("partial")(partial(scaled, 3))
    executor.execute("object")(Doubler())
    with in_process(executor) as rt:
        assert rt.execute({"x": 2}, task_type="partial").output.answer == "6"
        assert rt.execute({"x": 2}, task_type="object").output.answer == "4"


def test_a_further_parameter_with_a_default_keeps_it_where_nothing_is_injected(executor: Executor) -> None:
    """In a dependency, such a parameter is a knob for tests."""

    def opened(size: int = 3) -> int:
        return size

    @executor.execute
    async def handler(point: Point, size: Annotated[int, Depends(opened)]) -> Finding:
        return Finding(answer=str(size))

    with in_process(executor) as rt:
        assert rt.execute({"x": 1}).output.answer == "3"


def test_the_function_is_given_back_as_it_was(executor: Executor) -> None:
    """Bare, with parentheses, and with arguments."""

    def handler(point: Point) -> Finding:
        return Finding(answer="")

    assert executor.execute(handler) is handler
    assert executor.execute("a")(handler) is handler
    assert executor.execute("b", timeout_s=1)(handler) is handler
    assert executor.registry.task_types == ["swarm", "a", "b"]


class Renamed(BaseModel):
    """Inputs that take a kernel's key under one of several names."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(validation_alias=AliasChoices("text", "prompt"))


class Either(BaseModel):
    """Another kind of inputs."""

    model_config = ConfigDict(extra="forbid")

    agent_id: str


def test_a_kernels_key_is_known_by_every_name_that_takes_it(executor: Executor) -> None:
    """Among aliases, and among alternatives."""

    @executor.execute("renamed")
    def renamed(ask: Renamed, /) -> Finding:
        return Finding(answer=ask.text)

    @executor.execute("either")
    def either(ask: Point | Either) -> Finding:
        return Finding(answer=type(ask).__name__)

    with in_process(executor) as rt:
        assert rt.execute({}, task_type="renamed", prompt="p").output.answer == "p"
        assert rt.execute({}, task_type="either", agent_id="a").output.answer == "Either"
        assert rt.execute({"x": 1}, task_type="either").output.answer == "Point"


def test_inputs_that_are_no_object_reach_a_plain_handler(executor: Executor) -> None:
    """Tasks made by hand may carry any JSON."""

    @executor.execute
    def handler(inputs: Any) -> Finding:
        return Finding(answer=repr(inputs))

    with in_process(executor) as rt:
        assert rt.execute([1, None]).output.answer == "[1, None]"
