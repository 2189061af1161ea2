"""The graph's nodes fetch through the task, its updates are progress, and it goes on where an attempt was cut."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from examples.langgraph_agent.app import executor
from executor_sdk import Refuse, Settings, TaskCancelled, in_process
from executor_sdk.client.asks import execute_body
from executor_sdk.protocol.plain import Json
from tests.examples.behind_kernel import decided

LAST, THIS = "https://data.example.com/2025.csv", "https://data.example.com/2026.csv"
ASK: dict[str, Json] = {"last_year_url": LAST, "this_year_url": THIS}
FILES = {LAST: b"region,amount\nnorth,5\nsouth,3\n", THIS: b"region,amount\nnorth,9.5\n"}


def attempt(number: int) -> dict[str, Json]:
    """The body of the n-th attempt at one step."""
    body = execute_body({"agent_id": "a", **ASK}, task_type="swarm", run_id="r", execution_id=f"exec-{number}")
    body["task_id"] = body["task_contract"]["task_id"] = f"run-r-a-{number}"
    return body


@pytest.fixture(autouse=True)
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that outlives an executor."""
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints.sqlite"))


@pytest.mark.parametrize(
    ("sales", "expected"), [(b"region,amount\nnorth,9.5\n", ("GROWTH", "+1.50")), (b"r,a\n", ("DECLINE", "-8.00"))]
)
def test_the_graph_decides(sales: bytes, expected: tuple[str, str]) -> None:
    """From what its nodes have fetched."""
    with in_process(executor, files={**FILES, THIS: sales}) as rt:
        found = rt.execute(ASK).output

    assert (found.decision, found.answer) == expected


def test_a_node_that_refuses_refuses_for_the_whole() -> None:
    """What is raised on purpose comes out of the graph as it is."""
    with in_process(executor, files={**FILES, LAST: b"region\nnorth\n"}) as rt, pytest.raises(Refuse) as told:
        rt.execute(ASK)

    assert told.value.code == "NO_SALES"


def test_each_update_is_progress() -> None:
    """So the graph stops after a node where nobody wants the work any more."""
    with in_process(executor, files={LAST: FILES[LAST]}) as rt, pytest.raises(TaskCancelled):
        rt.execute(ASK, cancel_at=0.5)


def test_a_later_attempt_goes_on_where_the_first_was_cut() -> None:
    """Also in another process: the second one could not read last year's sales."""
    with in_process(executor, files={LAST: FILES[LAST]}) as rt:
        assert rt.send("/execute", attempt(1)).status == 502
    with in_process(executor, files={THIS: FILES[THIS]}) as rt:
        answer = rt.send("/execute", attempt(2))

    assert answer.status == 200
    assert orjson.loads(answer.body)["candidate_output"] == {"decision": "GROWTH", "answer": "+1.50"}


def test_after_a_success_an_attempt_begins_at_the_first_node() -> None:
    """Nobody asks again for what counted, so it was turned down; and no checkpoint is kept for ever."""
    with in_process(executor, files=FILES) as rt:
        assert rt.send("/execute", attempt(1)).status == 200
    with in_process(executor, files={THIS: FILES[THIS]}) as rt:
        assert rt.send("/execute", attempt(2)).status == 502


@pytest.mark.anyio
async def test_three_agents_decide_behind_a_kernel(tmp_path: Path) -> None:
    """Each has a thread of its own in the one file of checkpoints."""
    urls: dict[str, Json] = {}
    for name, uri in ASK.items():
        (tmp_path / f"{name}.csv").write_bytes(FILES[uri])
        urls[name] = (tmp_path / f"{name}.csv").as_uri()

    app = executor.application(Settings(file_roots=(tmp_path,)))
    aggregation = await decided(app, urls, state_dir=tmp_path / "state")

    assert aggregation["decision_votes"] == {"GROWTH": 3}
