"""The in-process runtime asks as a kernel does, and raises what authors know."""

from __future__ import annotations

import doctest
import pydoc
import re
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, Field

import executor_sdk.testing
from executor_sdk import (
    DefinitionError,
    Executor,
    ExecutorRefusedError,
    FetchError,
    Refuse,
    Task,
    TaskCancelled,
    TaskTimeoutError,
    TryLater,
    in_process,
)
from executor_sdk.client.exchange import Answer
from executor_sdk.errors import HandlerCrashedError, TaskError, TaskLostError
from executor_sdk.testing.process import error_in
from executor_sdk.testing.server import LifespanError, running


@pytest.fixture
def executor() -> Executor:
    """An executor that does what its inputs say."""
    executor = Executor("acme", "m-1")

    @executor.execute
    async def handler(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        match inputs.get("do"):
            case "refuse":
                raise Refuse("NO_SALES", "nothing to sell", details={"rows": 0})
            case "later":
                raise TryLater("busy", after_s=7)
            case "fetch":
                await task.fetch("https://nowhere.test/")
            case "walk":
                for n in range(10):
                    task.progress(n / 10)
            case "sleep":
                await anyio.sleep_forever()
        return {"answer": f"{task.agent_id} {task.prompt} {task.round} {task.contract['budget']}"}

    return executor


def test_refusals_come_back_as_their_author_raised_them(executor: Executor) -> None:
    """With code, sentence, details and time to wait."""
    with in_process(executor, timeout_s=0.1) as rt:
        with pytest.raises(Refuse, match="nothing to sell") as refused:
            rt.execute({"do": "refuse"})
        with pytest.raises(TryLater, match="busy") as later:
            rt.execute({"do": "later"})
        with pytest.raises(FetchError, match=r"the test has no file for https://nowhere\.test/") as fetched:
            rt.execute({"do": "fetch"})
        with pytest.raises(TaskTimeoutError, match=r"within 0\.1 s"):
            rt.execute({"do": "sleep"})

    assert (refused.value.code, refused.value.details) == ("NO_SALES", {"rows": 0})
    assert later.value.after_s == 7
    assert fetched.value.reason == 200


def test_options_of_a_test_are_over_those_of_decorators() -> None:
    """Each that both can say: a test with a short deadline waits no longer, whatever the decorator says."""
    executor = Executor("acme", "m-1", adopt=False)

    @executor.execute("t", timeout_s=100, max_concurrency=1, adopt=True, linger_s=100)
    async def handler(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
        await anyio.sleep_forever()
        return {"answer": ""}

    with in_process(executor, timeout_s=0.1) as rt:
        with pytest.raises(TaskTimeoutError, match=r"within 0\.1 s"):
            rt.execute({})
        (described,) = rt.capabilities()["handlers"]
        assert (described["timeout_s"], described["max_concurrency"]) == (0.1, 1)
    with in_process(executor, max_concurrency=2) as rt:
        (described,) = rt.capabilities()["handlers"]
        assert (described["timeout_s"], described["max_concurrency"]) == (100, None)

    (handled,) = executor.registry.left_to({"adopt", "linger_ms"}).handlers
    settings = executor.settings.changed(linger_ms=50)
    assert (handled.adopts(settings), handled.linger_s(settings), handled.timeout_s(settings)) == (False, 0.05, 100)
    (kept,) = executor.registry.handlers
    assert (kept.adopts(settings), kept.linger_s(settings)) == (True, 100)


def test_the_kernels_keys_and_contract_can_be_given(executor: Executor) -> None:
    """So that a test plays a second round."""
    with in_process(executor) as rt:
        done = rt.execute({}, agent_id="a", prompt="p", signal={"iteration": 1, "type": "X"}, contract={"budget": "b"})

    assert done.output == {"answer": "a p 2 b"}
    assert done.request["task_id"].endswith("-a-1")


def test_a_cancel_comes_at_the_progress_that_was_named(executor: Executor) -> None:
    """And nowhere else."""
    with in_process(executor) as rt:
        with pytest.raises(TaskCancelled):
            rt.execute({"do": "walk"}, cancel_at=0.9)
        assert rt.execute({"do": "walk"}, cancel_at=0.95).output


def test_artifacts_can_be_looked_at_and_changed(executor: Executor) -> None:
    """As a dict by digest."""
    with in_process(executor) as rt:
        rt.artifacts["sha256:x"] = b"forged"
        assert dict(rt.artifacts) == {"sha256:x": b"forged"}
        del rt.artifacts["sha256:x"]
        assert len(rt.artifacts) == 0
        with pytest.raises(KeyError):
            rt.artifacts["sha256:x"]
        with pytest.raises(KeyError):
            del rt.artifacts["sha256:x"]


def test_any_body_can_be_sent(executor: Executor) -> None:
    """For what a kernel would never send."""
    with in_process(executor) as rt:
        answer = rt.send("/execute", b"{")
        assert answer.status == 400
        assert "MALFORMED_REQUEST" in answer.sentence
        assert rt.call(rt.client.capabilities).model_id == "m-1"


def test_which_task_type_must_be_said_where_there_are_several(executor: Executor) -> None:
    """And none is guessed."""
    executor.execute("other")(lambda: {"answer": ""})
    with in_process(executor) as rt, pytest.raises(DefinitionError, match="say which task_type: swarm, other"):
        rt.execute({})


def test_answers_of_other_executors_are_told_apart() -> None:
    """What has not the kit's shape stays an answer."""

    def told(body: bytes) -> Exception:
        return error_in(Answer(503, "Service Unavailable", {}, body))

    assert isinstance(told(b"<html>"), ExecutorRefusedError)
    assert isinstance(told(b'{"error": "text"}'), ExecutorRefusedError)
    assert isinstance(told(b'{"error": {"code": "TASK_LOST", "message": "m"}}'), TaskLostError)
    assert isinstance(told(b'{"error": {"code": "TRY_LATER", "message": "m"}}'), TryLater)
    unknown = told(b'{"error": {"code": "OUT_OF_PAPER", "message": "m"}}')
    assert (isinstance(unknown, TaskError), getattr(unknown, "code", "")) == (True, "OUT_OF_PAPER")


def test_a_crash_carries_what_was_raised(executor: Executor) -> None:
    """A test shows the author's own line, not only that something went wrong."""

    @executor.execute("crashes")
    def crash(inputs: dict[str, Any]) -> dict[str, Any]:
        raise LookupError(inputs["word"])

    with in_process(executor) as rt:
        for word in ("one", "two"):
            with pytest.raises(HandlerCrashedError) as told:
                rt.execute({"word": word}, task_type="crashes")
            assert repr(told.value.__cause__) == f"LookupError('{word}')"


def test_drawn_inputs_find_what_a_handler_cannot_take() -> None:
    """And name it; the same seed finds the same."""
    executor = Executor("acme", "m-1")

    class Ask(BaseModel):
        n: int = Field(ge=0, le=20)
        text: str

    @executor.execute("t")
    def divide(ask: Ask) -> dict[str, Any]:
        if ask.text == "0":
            raise Refuse("NO_ZERO", "no zero")
        return {"answer": str(1 / ask.n)}

    def found() -> str:
        with in_process(executor) as rt, pytest.raises(AssertionError) as told:
            rt.fuzz(500, seed=3)
        assert isinstance(told.value.__cause__, HandlerCrashedError)
        return re.sub(r"reference \w+", "", str(told.value))

    assert re.match(r't fails on \{"n":0,"text":.*divide raised ZeroDivisionError', found())
    assert found() == found()
    with in_process(executor) as rt:
        rt.fuzz(1, seed=4)


@pytest.mark.anyio
async def test_an_application_that_fails_to_start_says_so() -> None:
    """With its own sentence."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no model"})

    with pytest.raises(LifespanError, match="no model"):
        async with running(broken):
            pass


def test_the_room_itself_offers_what_the_face_does() -> None:
    """`executor_sdk.testing.in_process` is the function, wherever one looks for it first."""
    assert executor_sdk.testing.in_process is in_process
    assert all(hasattr(executor_sdk.testing, name) for name in executor_sdk.testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'in_proces'"):
        getattr(executor_sdk.testing, "in_proces")  # noqa: B009 - mypy would see a plain access


def test_the_page_of_help_does_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example on it runs, and every name has its own page."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    told = doctest.testmod(executor_sdk.testing)

    assert (told.failed, told.attempted > 10) == (0, True)
    page = pydoc.plain(pydoc.render_doc(executor_sdk.testing))
    assert [name for name in executor_sdk.testing.__all__ if name not in page] == []
    assert [name for name in executor_sdk.testing.__all__ if not getattr(executor_sdk.testing, name).__doc__] == []
