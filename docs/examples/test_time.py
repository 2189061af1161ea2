"""Tests without waiting, without a network, and with inputs that nobody thought of."""

import asyncio
from typing import Any

import pytest
from app import executor
from streaming import executor as pages

from executor_sdk import Executor, TaskTimeoutError, in_process
from executor_sdk.testing import FakeModel, FakeTime

slow = Executor(provider_family="acme", model_id="slow-1")


@slow.execute("swarm", timeout_s=3600)
async def never_ends(inputs: dict[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    return {"answer": "never"}


def test_a_deadline_of_an_hour_passes_at_once() -> None:
    with in_process(slow, time=FakeTime()) as rt, pytest.raises(TaskTimeoutError):
        rt.execute({})


def test_odd_inputs_make_nothing_fail() -> None:
    with in_process(pages) as rt:
        rt.fuzz(50)  # drawn from the published schema, the same each time


def test_a_model_that_asks_nobody() -> None:
    model = FakeModel().answers("GROWTH")
    assert model.answer("Which way did revenue go?") == "GROWTH"


@pytest.mark.usefixtures("no_network")
def test_nothing_beyond_this_machine_is_reached() -> None:
    with in_process(executor) as rt:
        rt.execute({"data_url": "data:text/csv,region,amount%0Anorth,5"})
