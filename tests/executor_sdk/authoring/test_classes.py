"""Classes whose one instance a process holds: opened by `setup`, closed by `close`, with methods that do the tasks."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from executor_sdk import Candidate, DefinitionError, Executor, Progress, Task, Verdict, execute, in_process, verify
from executor_sdk.testing.server import LifespanError

log: list[str] = []


class Ask(BaseModel):
    """Inputs."""

    name: str = "x"


class Finding(BaseModel):
    """An output."""

    answer: str


class Pools:
    """A state that a lifespan yields."""

    name = "pools"


async def pools() -> AsyncIterator[Pools]:
    """That lifespan."""
    log.append("open pools")
    yield Pools()
    log.append("close pools")


class Analyst:
    """All that a class may have."""

    def __init__(self) -> None:
        self.model = "none"

    async def setup(self) -> None:
        """Opens."""
        log.append("setup")
        self.model = "loaded"

    async def close(self) -> None:
        """Closes."""
        log.append("close")

    async def health(self) -> dict[str, Any]:
        """Becomes the health check."""
        log.append(f"health of {self.model}")
        return {"model": self.model}

    @execute
    async def find(self, ask: Ask, task: Task) -> Finding:
        """Finds."""
        task.evidence(self.model)
        return Finding(answer=f"{self.model} {ask.name}")

    @execute("plain", profiles=("fast",), timeout_s=3)
    def plain(self, ask: Ask) -> Finding:
        """Runs in a thread."""
        return Finding(answer=threading.current_thread().name)

    @execute("streamed")
    async def stream(self, ask: Ask) -> AsyncIterator[Progress | Finding]:
        """Yields."""
        yield Progress(0.5)
        yield Finding(answer=self.model)

    @verify
    async def check(self, candidate: Candidate[Finding]) -> Verdict:
        """Judges."""
        return Verdict.failed(1001, self.model)


@pytest.fixture
def executor() -> Executor:
    """An executor without functions, and an empty log."""
    log.clear()
    return Executor("acme", "m-1")


def test_methods_do_the_tasks_on_the_one_instance(executor: Executor) -> None:
    """It is opened before the first request and closed after the last work."""
    assert executor.include(Analyst) is Analyst

    with in_process(executor) as rt:
        done = rt.execute({"name": "rows"}, task_type="swarm")
        assert done.output == Finding(answer="loaded rows")
        assert rt.verify(done).message == "loaded"
        assert rt.execute({}, task_type="streamed").output.answer == "loaded"
        assert rt.execute({}, task_type="plain").output.answer != threading.main_thread().name
        rt.call(rt.client.health)
        described = {one["task_type"]: one for one in rt.capabilities()["handlers"]}

    assert described["plain"]["profiles"] == ["fast"]
    assert described["swarm"]["description"] == "Finds."
    assert list(described["swarm"]["input_schema"]["properties"]) == ["name"]
    assert log == ["setup", "health of loaded", "close"]


def test_each_start_makes_an_instance(executor: Executor) -> None:
    """Tests do not share it; plain hooks run in a thread, and all of them may be left out."""
    seen: list[object] = []

    @executor.include
    class Counter:
        def setup(self) -> None:
            self.thread = threading.current_thread()
            self.count = 0

        def close(self) -> None:
            log.append(f"close at {self.count}")

        @execute
        async def count_up(self, ask: Ask) -> Finding:
            assert self.thread is not threading.current_thread()
            self.count += 1
            seen.append(self)
            return Finding(answer=str(self.count))

    for _ in range(2):
        with in_process(executor) as rt:
            assert [rt.execute({"name": str(n)}).output.answer for n in range(2)] == ["1", "2"]

    assert len(set(map(id, seen))) == 2
    assert log == ["close at 2"] * 2


def test_methods_get_other_states_and_functions_get_the_instance() -> None:
    """By type, as of any lifespan; a class may name itself."""
    log.clear()
    executor = Executor("acme", "m-1", lifespan=pools)

    @executor.include
    class Reader:
        @execute("read")
        async def read(self, pools: Pools, ask: Ask, other: Reader) -> Finding:
            return Finding(answer=f"{pools.name} {self is other}")

    @executor.execute("free")
    async def free(reader: Reader) -> Finding:
        return Finding(answer=type(reader).__name__)

    with in_process(executor) as rt:
        assert rt.execute({}, task_type="read").output.answer == "pools True"
        assert rt.execute({}, task_type="free").output.answer == "Reader"

    assert log == ["open pools", "close pools"]


def test_a_class_takes_over_what_its_bases_are_marked_with(executor: Executor) -> None:
    """What it writes itself without a mark is no handler."""

    class Base:
        @execute("kept")
        async def kept(self) -> Finding:
            return Finding(answer=self.word())

        @execute("dropped")
        async def dropped(self) -> Finding:
            return Finding(answer="base")

        def word(self) -> str:
            return "base"

    @executor.include
    class Derived(Base):
        async def dropped(self) -> Finding:
            return Finding(answer="derived")

        def word(self) -> str:
            return "derived"

    with in_process(executor) as rt:
        assert rt.execute({}).output.answer == "derived"
    assert executor.registry.task_types == ["kept"]


def test_a_test_puts_another_class_in_its_place(executor: Executor) -> None:
    """A derived one, with a `setup` of its own."""

    class FakeAnalyst(Analyst):
        async def setup(self) -> None:
            self.model = "fake"

    executor.include(Analyst)
    with in_process(executor, overrides={Analyst: FakeAnalyst}) as rt:
        assert rt.execute({}, task_type="swarm").output.answer == "fake x"


def test_a_method_stays_a_method(executor: Executor) -> None:
    """A unit test calls it on an instance of its own."""
    executor.include(Analyst)

    assert Analyst().plain(Ask()).answer == threading.main_thread().name


def test_a_setup_that_fails_stops_the_start(executor: Executor) -> None:
    """What has not been set up is not closed."""

    @executor.include
    class Broken:
        def setup(self) -> None:
            raise ConnectionError

        def close(self) -> None:
            log.append("close")

        @execute
        async def find(self) -> Finding:
            return Finding(answer="x")

    with pytest.raises(LifespanError, match="Broken raised ConnectionError, so this executor does not start"):
        in_process(executor).__enter__()

    assert log == []


def test_a_method_is_refused_by_the_executors_own_decorators(executor: Executor) -> None:
    """With the class form to write instead."""
    with pytest.raises(
        DefinitionError, match=r"write @executor\.include above the class, .* @execute\(\.\.\.\)"
    ) as told:

        class Wrong:
            @executor.execute("swarm")
            async def find(self, ask: Ask) -> Finding:
                return Finding(answer="x")

    assert "Wrong.find is a method" in str(told.value)
    executor.execute(Analyst().plain)  # a method of an instance is a function


def test_a_function_is_refused_by_the_marks() -> None:
    """Nobody would ever read them."""
    with pytest.raises(DefinitionError, match=r"find is no method of a class; write @executor\.execute"):

        @execute
        async def find(ask: Ask) -> Finding:
            return Finding(answer="x")


def nothing_marked() -> type:
    """No method for any task."""

    class Idle:
        def find(self) -> None: ...

    return Idle


def needs_arguments() -> type:
    """Nobody knows what to make it with."""

    class Needy:
        def __init__(self, model: str) -> None: ...

        @execute
        def find(self) -> Finding: ...  # type: ignore[empty-body]

    return Needy


def setup_needs_arguments() -> type:
    """Nor what to set it up with."""

    class Needy:
        async def setup(self, model: str, size: int = 3) -> None: ...

        @execute
        def find(self) -> Finding: ...  # type: ignore[empty-body]

    return Needy


def static_hook() -> type:
    """A hook that does not know the instance."""

    class Static:
        @staticmethod
        def close() -> None: ...

        @execute
        def find(self) -> Finding: ...  # type: ignore[empty-body]

    return Static


def static_handler() -> type:
    """A handler that does not either."""

    class Static:
        @staticmethod
        @execute
        def find(self: Any) -> Finding: ...  # type: ignore[empty-body]

    return Static


def two_inputs() -> type:
    """A signature that cannot work."""

    class Two:
        @execute
        def find(self, a: str, b: str) -> Finding: ...  # type: ignore[empty-body]

    return Two


def unwell() -> type:
    """A health check with parameters."""

    class Unwell:
        def health(self, model: str) -> bool: ...  # type: ignore[empty-body]

        @execute
        def find(self) -> Finding: ...  # type: ignore[empty-body]

    return Unwell


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (nothing_marked, r"Idle has no method for any task; write `from executor_sdk import execute`"),
        (needs_arguments, "__init__ takes model, but is called with nothing but `self` when the executor starts"),
        (setup_needs_arguments, r"Needy\.setup takes model, but"),
        (static_hook, "close is a staticmethod; write it as a method"),
        (static_handler, "find is a staticmethod; write it as a method"),
        (two_inputs, r"Two\.find: 'a' takes the inputs already"),
        (unwell, r"Unwell\.health: nobody can supply 'model'"),
        (Analyst, "this is an instance; write executor.include\\(Analyst\\)"),
    ],
)
def test_a_class_that_cannot_work_is_refused(executor: Executor, make: Any, sentence: str) -> None:
    """And nothing of it is taken over."""
    with pytest.raises(DefinitionError, match=sentence):
        executor.include(make())

    assert executor.registry.task_types == []
    assert executor.registry.lifespans == []
