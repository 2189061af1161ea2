"""The agent rules by what its tool has read through the task; its model is scripted, so nobody is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from agents import Model, ModelProvider
from agents.items import TResponseOutputItem
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

from examples.openai_agents.app import MAX_TURNS, executor, models
from executor_sdk import FetchError, Settings, TaskCancelled, TryLater, in_process
from tests.examples.behind_kernel import decided

URL = "https://shop.example.com/notes.txt"
COMPLAINT = {"text": "It came late.", "notes_url": URL}
FILES = {URL: b"delivered three days late"}
READS = [function_call("delivery_notes", {}, call_id="1")]
RULES = [assistant_message('{"decision": "REFUND", "answer": "It was three days late."}')]


class OneModel(ModelProvider):
    """Stands where OpenAI stands in production."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def get_model(self, model_name: str | None) -> Model:
        """The scripted one, by whatever name."""
        return self._model


def test_the_agent_rules_by_what_its_tool_has_read() -> None:
    """The model is called twice: for the tool, and for the ruling."""
    model = ScriptedModel([READS, RULES])
    with in_process(executor, overrides={models: lambda: OneModel(model)}, files=FILES) as rt:
        ruling = rt.execute(COMPLAINT).output

    assert (ruling.decision, ruling.answer) == ("REFUND", "It was three days late.")
    assert "delivered three days late" in str(model.calls[1].input)
    assert all(call.tracing.is_disabled() for call in model.calls)


def test_a_tool_that_fails_fails_the_task() -> None:
    """With the error's own meaning: a file that cannot be had now is read again, and then the kernel decides."""
    model = ScriptedModel([READS, READS])
    with in_process(executor, overrides={models: lambda: OneModel(model)}) as rt, pytest.raises(FetchError):
        rt.execute(COMPLAINT)

    assert model.remaining_steps == 0


@pytest.mark.parametrize(
    ("steps", "calls"),
    [
        ([[assistant_message("Well, it depends.")]] * 2, 2),
        ([[function_call("delivery_notes", {}, call_id=str(n))] for n in range(2 * MAX_TURNS)], 2 * MAX_TURNS),
    ],
    ids=["no ruling", "in circles"],
)
def test_an_agent_without_a_ruling_is_asked_once_more(steps: list[list[TResponseOutputItem]], calls: int) -> None:
    """And then the kernel decides."""
    model = ScriptedModel(steps)
    overrides = {models: lambda: OneModel(model)}
    with in_process(executor, overrides=overrides, files=FILES) as rt, pytest.raises(TryLater, match="no ruling"):
        rt.execute(COMPLAINT)

    assert len(model.calls) == calls


def test_the_agent_stops_where_nobody_wants_its_ruling() -> None:
    """At its next step, before it asks the model again."""
    model = ScriptedModel([READS, RULES])
    overrides = {models: lambda: OneModel(model)}
    with in_process(executor, overrides=overrides, files=FILES) as rt, pytest.raises(TaskCancelled):
        rt.execute(COMPLAINT, cancel_at=1 / MAX_TURNS)

    assert len(model.calls) == 1


@pytest.mark.anyio
async def test_three_agents_decide_behind_a_kernel(tmp_path: Path) -> None:
    """Each of them reads, and rules."""
    (tmp_path / "notes.txt").write_bytes(FILES[URL])
    model = ScriptedModel([ModelStep.respond(lambda call: RULES if "three days" in str(call.input) else READS)] * 6)
    aggregation = await decided(
        executor.application(Settings(file_roots=(tmp_path,)), overrides={models: lambda: OneModel(model)}),
        {**COMPLAINT, "notes_url": (tmp_path / "notes.txt").as_uri()},
        state_dir=tmp_path / "state",
    )

    assert aggregation["decision_votes"] == {"REFUND": 3}
