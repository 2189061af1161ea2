"""The state of a process is opened before the first request, reaches functions by type, and is closed last."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Generic, Protocol, TypeVar

import orjson
import pytest
from pydantic import BaseModel

from executor_sdk import (
    Candidate,
    DefinitionError,
    Depends,
    Executor,
    HandlerCrashedError,
    Progress,
    Settings,
    Verdict,
    execute,
    in_process,
)
from executor_sdk.client.asks import execute_body
from executor_sdk.misuse import MisuseError
from executor_sdk.testing.server import LifespanError, NotStartedError, serve

T = TypeVar("T")

log: list[str] = []


class Ask(BaseModel):
    """Inputs."""

    name: str = "x"


class Pools:
    """A state of the process."""

    name = "pools"


class Model:
    """Another one."""

    name = "model"


class Named(Protocol):
    """One that is asked for by a protocol."""

    name: str


class Box(Generic[T]):
    """One that is asked for with its parameter."""

    def __init__(self, held: T) -> None:
        self.held = held


@asynccontextmanager
async def pools() -> AsyncIterator[Pools]:
    """Opened and closed by name."""
    log.append("open pools")
    try:
        yield Pools()
    finally:
        log.append("close pools")


async def model() -> AsyncIterator[Model]:
    """A plain generator function will do."""
    log.append("open model")
    yield Model()
    log.append("close model")


@pytest.fixture(autouse=True)
def empty_log() -> None:
    """Each test reads its own."""
    log.clear()


def an_executor(*lifespan: Any, **options: Any) -> Executor:
    """An executor with those lifespans."""
    return Executor("acme", "m-1", lifespan=lifespan, **options)


@pytest.mark.parametrize("function", [pools, [pools], (pools,)])
def test_a_handler_gets_what_a_lifespan_yields(function: Any) -> None:
    """By its type; it never counts as inputs."""
    executor = Executor("acme", "m-1", lifespan=function)

    @executor.execute
    async def find(pools: Pools, ask: Ask) -> dict[str, Any]:
        log.append("work")
        return {"answer": f"{ask.name} of {pools.name}"}

    with in_process(executor) as rt:
        assert rt.execute({"name": "rows"}).output == {"answer": "rows of pools"}
        [described] = rt.capabilities()["handlers"]

    assert list(described["input_schema"]["properties"]) == ["name"]
    assert log == ["open pools", "work", "close pools"]


def test_several_are_opened_in_order_and_closed_in_reverse() -> None:
    """Each reaches functions by its own type: plain ones, generators, dependencies, verifiers and health checks."""
    executor = an_executor(pools, model)

    def join(pools: Pools, model: Model) -> str:
        return f"{pools.name} and {model.name}"

    @executor.execute("plain")
    def plain(pools: Annotated[Pools, "documented"], model: Model) -> dict[str, Any]:
        assert threading.current_thread() is not threading.main_thread()
        return {"answer": f"{pools.name} and {model.name}"}

    @executor.execute("streamed")
    async def streamed(ask: Ask, model: Model) -> AsyncIterator[Progress | dict[str, Any]]:
        yield Progress(0.5)
        yield {"answer": model.name}

    @executor.execute("made")
    async def made(joined: Annotated[str, Depends(join)]) -> dict[str, Any]:
        return {"answer": joined}

    @executor.verify
    async def holds(candidate: Candidate[dict[str, Any]], model: Model) -> Verdict:
        return Verdict.failed(1001, model.name)

    @executor.health
    async def well(pools: Pools) -> bool:
        log.append(f"health of {pools.name}")
        return True

    with in_process(executor) as rt:
        assert rt.execute({}, task_type="plain").output == {"answer": "pools and model"}
        assert rt.execute({}, task_type="streamed").output == {"answer": "model"}
        done = rt.execute({}, task_type="made")
        assert done.output == {"answer": "pools and model"}
        assert rt.verify(done).message == "model"
        rt.call(rt.client.health)

    assert log == ["open pools", "open model", "health of pools", "close model", "close pools"]


def test_protocols_and_parametrized_classes_are_types_too() -> None:
    """What a lifespan says is what a parameter says."""

    async def named() -> AsyncIterator[Named]:
        yield Model()

    async def boxed() -> AsyncIterator[Box[int]]:
        yield Box(7)

    executor = an_executor(named, boxed)

    @executor.execute
    async def find(one: Named, box: Box[int]) -> dict[str, Any]:
        return {"answer": f"{one.name} {box.held}"}

    with in_process(executor) as rt:
        assert rt.execute({}).output == {"answer": "model 7"}


def test_a_lifespan_may_take_the_executor_and_yield_nothing() -> None:
    """It may want the settings, and open what nobody needs to be given."""

    async def told(executor: Executor) -> AsyncIterator[None]:
        log.append(f"{executor.settings.timeout_s:g} s")
        yield

    executor = an_executor(told, timeout_s=7)

    @executor.execute
    async def find(ask: Ask) -> dict[str, Any]:
        return {"answer": ask.name}

    with in_process(executor) as rt:
        rt.execute({})

    assert log == ["7 s"]


def test_settings_are_those_under_which_it_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's are over the author's; a lifespan may take them, and so may every function."""

    async def told(executor: Executor, settings: Settings) -> AsyncIterator[Model]:
        log.append(f"{executor.registry.model_id} within {settings.timeout_s:g} s")
        yield Model()

    executor = an_executor(told, timeout_s=7)

    @executor.execute
    async def find(settings: Settings) -> dict[str, Any]:
        return {"answer": f"{settings.timeout_s:g}"}

    with in_process(executor, timeout_s=8) as rt:
        assert rt.execute({}).output == {"answer": "8"}
    monkeypatch.setenv("EXECUTOR_TIMEOUT_S", "9")
    with serve(executor):
        pass

    assert log == ["m-1 within 8 s", "m-1 within 9 s"]


async def hangs_open() -> AsyncIterator[Model]:
    await asyncio.Event().wait()
    yield Model()


class HangsOpen:
    """Its thread goes on; the start does not wait for it."""

    def setup(self) -> None:
        go_on.wait(5)

    @execute
    async def find(self) -> dict[str, Any]:
        return {"answer": "x"}


async def hangs_closed() -> AsyncIterator[Model]:
    yield Model()
    await asyncio.Event().wait()


go_on = threading.Event()


@pytest.mark.parametrize("part", [hangs_open, HangsOpen])
def test_one_that_does_not_open_in_time_stops_the_start(part: Any) -> None:
    """What was open before is closed."""
    go_on.clear()
    executor = an_executor(pools, *([] if inspect.isclass(part) else [part]), setup_s=0.05)
    if inspect.isclass(part):
        executor.include(part)

    sentence = f"{part.__name__} did not open within 0.05 s \\(setup_s\\), so this executor does not start"
    with pytest.raises(LifespanError, match=sentence), in_process(executor):
        pass
    go_on.set()

    assert log == ["open pools", "close pools"]


def test_one_that_does_not_close_in_time_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and the others are closed."""
    with in_process(an_executor(pools, hangs_closed, close_s=0.05)):
        pass

    assert log == ["open pools", "close pools"]
    assert "hangs_closed did not close within 0.05 s (close_s); it is left as it is" in caplog.text


def test_it_closes_after_the_last_work_has_ended() -> None:
    """Work that nobody waits for any more has its state until it ends."""
    executor = an_executor(pools, drain_s=10)
    started, go_on = threading.Event(), threading.Event()

    @executor.execute
    def find(pools: Pools) -> dict[str, Any]:
        started.set()
        assert go_on.wait(20)
        log.append("work")
        return {"answer": "x"}

    with serve(executor) as served:
        body = orjson.dumps(execute_body({}, task_type="swarm"))
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as caller:
            caller.sendall(b"POST /execute HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            assert started.wait(20)
        threading.Timer(0.2, go_on.set).start()

    assert log == ["open pools", "work", "close pools"]


def test_each_start_has_a_state_of_its_own() -> None:
    """Tests do not share it."""
    executor = an_executor(pools)
    seen: list[Pools] = []

    @executor.execute
    async def find(pools: Pools) -> dict[str, Any]:
        seen.append(pools)
        return {"answer": "x"}

    for _ in range(2):
        with in_process(executor) as rt:
            rt.execute({})

    assert seen[0] is not seen[1]


class FakePools:
    """What a test has in place of pools."""

    name = "fake"

    def setup(self) -> None:
        """Opened as an included class is."""
        self.name = "fake, set up"


async def other_pools() -> AsyncIterator[FakePools]:
    """Another lifespan."""
    yield FakePools()
    log.append("close fake")


async def awaited_pools() -> FakePools:
    """A coroutine."""
    return FakePools()


@pytest.mark.parametrize(
    ("fake", "answer"),
    [
        (other_pools, "fake"),
        pytest.param(asynccontextmanager(other_pools), "fake", id="context manager"),
        (awaited_pools, "fake"),
        (lambda: FakePools(), "fake"),
        (FakePools, "fake, set up"),
    ],
)
def test_a_test_puts_another_in_its_place(fake: Any, answer: str) -> None:
    """A lifespan, a function or a class; what it would have opened stays closed."""
    executor = an_executor(pools)

    @executor.execute
    async def find(pools: Pools) -> dict[str, Any]:
        return {"answer": pools.name}

    with in_process(executor, overrides={pools: fake}) as rt:
        assert rt.execute({}).output == {"answer": answer}

    assert log in ([], ["close fake"])


def test_a_lifespan_is_replaced_by_its_function_and_not_by_what_it_yields() -> None:
    """Else a test would work with the real one, and nobody would tell."""
    told = r"Pools is what the lifespan pools yields, .* write overrides={pools: FakePools}"
    with pytest.raises(MisuseError, match=told), in_process(an_executor(pools), overrides={Pools: FakePools}):
        pass


def connected() -> Model:
    """It never is."""
    raise ConnectionError("postgres://user:secret@host")


@asynccontextmanager
async def broken() -> AsyncIterator[Model]:
    """One that cannot be opened."""
    yield connected()


@asynccontextmanager
async def mistaken() -> AsyncIterator[Model]:
    """One that yields what it does not say."""
    yield None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (broken, "broken raised ConnectionError, so this executor does not start"),
        (mistaken, "mistaken yielded None, but says that it yields Model"),
    ],
)
def test_one_that_fails_stops_the_start(
    function: Any, sentence: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sentence in the log; what was open before is closed."""
    executor = an_executor(pools, function)

    with pytest.raises(LifespanError, match=sentence), in_process(executor):
        pass
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    with pytest.raises(NotStartedError), serve(executor, log_config=None):
        pass

    assert sentence in caplog.text
    assert log == ["open pools", "close pools"] * 2


def test_a_failing_close_is_told_and_the_others_are_closed(caplog: pytest.LogCaptureFixture) -> None:
    """In reverse order, all of them."""

    async def clumsy() -> AsyncIterator[None]:
        yield
        raise ValueError("cannot close")

    with pytest.raises(LifespanError, match="cannot close"), in_process(an_executor(pools, clumsy)):
        pass

    assert log == ["open pools", "close pools"]


async def says_nothing():  # type: ignore[no-untyped-def]
    yield Pools()


async def yields_text() -> AsyncIterator[str]:
    yield "x"


async def yields_dict() -> AsyncIterator[dict[str, Any]]:
    yield {}


async def yields_anything() -> AsyncIterator[Any]:
    yield {}


async def yields_either() -> AsyncIterator[Pools | None]:
    yield None


async def takes_two(executor: Executor, other: int) -> AsyncIterator[Pools]:
    yield Pools()


async def takes_another(pools: Pools) -> AsyncIterator[Model]:
    yield Model()


async def takes_named(*, executor: Executor) -> AsyncIterator[Model]:
    yield Model()


async def coroutine() -> Pools:
    return Pools()


def generator() -> Iterator[Pools]:
    yield Pools()


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (says_nothing, r"says_nothing does not say what it yields; annotate it as `-> AsyncIterator\[Pools\]`"),
        (yields_text, "yields str, by which no function could ask for it; yield an instance of a class of your own"),
        (yields_dict, "yields dict, by which"),
        (yields_anything, "yields Any, by which"),
        (yields_either, "yields .*, by which"),
        (takes_two, "takes other; a lifespan takes nothing, or the executor as `executor: Executor`, or the settings"),
        (takes_another, "takes pools; a lifespan takes nothing"),
        (takes_named, "takes executor; a lifespan takes nothing"),
        (coroutine, "lifespan=coroutine is no asynchronous generator function; write `@asynccontextmanager`"),
        (generator, "lifespan=generator is no asynchronous generator function"),
        (Pools, "is no asynchronous generator function"),
        (pools(), "and give the function itself"),
        (3, "lifespan=3 is no asynchronous generator function"),
    ],
)
def test_a_lifespan_that_cannot_work_is_refused(function: Any, sentence: str) -> None:
    """When the executor is made."""
    with pytest.raises(DefinitionError, match=sentence):
        Executor("acme", "m-1", lifespan=function)


def test_two_of_the_same_type_are_refused() -> None:
    """Nobody could tell them apart; the same one twice is one."""

    async def more_pools() -> AsyncIterator[Pools]:
        yield Pools()

    with pytest.raises(DefinitionError, match="pools and more_pools both yield Pools") as told:
        an_executor(pools, more_pools)
    assert "class OtherPools(Pools)" in str(told.value)
    assert len(an_executor(pools, pools).registry.lifespans) == 1


def test_who_asks_for_a_state_that_nobody_yields_is_told() -> None:
    """With the way to have one."""

    def find(ask: Ask, pools: Pools) -> dict[str, Any]:
        return {"answer": "x"}

    define: Callable[[Any], Any] = Executor("acme", "m-1").execute
    with pytest.raises(DefinitionError, match="or as a type that a lifespan yields"):
        define(find)


def test_a_crash_of_a_function_with_state_is_a_crash() -> None:
    """Told as any other."""
    executor = an_executor(pools)

    @executor.execute
    async def find(pools: Pools) -> dict[str, Any]:
        raise ValueError

    with in_process(executor) as rt, pytest.raises(HandlerCrashedError, match="find raised ValueError"):
        rt.execute({})
