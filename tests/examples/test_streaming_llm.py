"""What a model streams becomes progress and an output, and its limits and refusals become the author's words."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.responses import Response

from examples.streaming_llm.app import executor
from executor_sdk import Refuse, TaskCancelled, TryLater, in_process
from tests.examples.behind_kernel import decided
from tests.examples.fake_endpoint import FakeEndpoint, error, written

TICKET = {"text": "Nobody can log in."}
WRITTEN = '{"decision": "URGENT", "answer": "Nobody can work.", "confidence": 0.9}'


def test_the_model_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for an answer of this shape, and gets the ticket as the user's words."""
    endpoint = FakeEndpoint(WRITTEN)
    with endpoint.serving(monkeypatch), in_process(executor) as rt:
        done = rt.execute(TICKET)

    assert (done.output.decision, done.output.answer) == ("URGENT", "Nobody can work.")
    (request,) = endpoint.requests
    assert request["messages"][1] == {"role": "user", "content": "Nobody can log in."}
    assert request["response_format"]["json_schema"]["name"] == "Triage"


def test_nobody_pays_for_an_answer_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is closed while the model still writes."""
    endpoint = FakeEndpoint(WRITTEN[:-1], never_ends=True)
    with endpoint.serving(monkeypatch), in_process(executor) as rt:
        with pytest.raises(TaskCancelled):
            rt.execute(TICKET, cancel_at=0.5)
        assert endpoint.hung_up.wait(10)


def test_a_limit_is_obeyed_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short wait is part of the work; one that is longer than the work may take is left to the kernel."""
    endpoint = FakeEndpoint(WRITTEN, error(429, **{"retry-after": "0"}))
    with endpoint.serving(monkeypatch), in_process(executor) as rt:
        assert rt.execute(TICKET).output.decision == "URGENT"
        endpoint.first = [error(429, **{"retry-after": "600"})]
        with pytest.raises(TryLater, match="the model is busy") as told:
            rt.execute(TICKET)

    assert told.value.after_s == 600
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    "nonsense", [written('{"decision": "PERHAPS"}'), written(WRITTEN[:20], finish_reason="length")]
)
def test_what_is_no_whole_triage_is_asked_for_again(nonsense: Response, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are drawn from: the next answer may be a whole one."""
    endpoint = FakeEndpoint(WRITTEN, nonsense)
    with endpoint.serving(monkeypatch), in_process(executor) as rt:
        assert rt.execute(TICKET).output.decision == "URGENT"

    assert len(endpoint.requests) == 2


@pytest.mark.parametrize("refusal", [error(400), written(WRITTEN, finish_reason="content_filter")])
def test_what_the_model_will_never_take_is_refused(refusal: Response, monkeypatch: pytest.MonkeyPatch) -> None:
    """And asked once: the same request would be answered alike."""
    endpoint = FakeEndpoint(WRITTEN, refusal)
    with endpoint.serving(monkeypatch), in_process(executor) as rt, pytest.raises(Refuse, match="does not take"):
        rt.execute(TICKET)

    assert len(endpoint.requests) == 1


@pytest.mark.anyio
async def test_three_agents_decide_behind_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All through the one client."""
    endpoint = FakeEndpoint(WRITTEN)
    with endpoint.serving(monkeypatch):
        aggregation = await decided(executor, TICKET, state_dir=tmp_path)

    assert aggregation["decision_votes"] == {"URGENT": 3}
    assert len(endpoint.requests) == 3
