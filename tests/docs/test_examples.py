"""The programs on the pages do what the pages say of them. Those that are tests themselves run in `test_pages.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import httpx2
import pytest

from executor_sdk import InvalidInputsError, Refuse, in_process
from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.testing.server import serve
from executor_sdk.testing.tasks import Files
from tests.docs.printed import EXECUTOR_URL, ROOT

EXAMPLES = ROOT / "docs" / "examples"
URL = "https://data.example.com/sales.csv"
FILES = {URL: b"region,amount\nnorth,5\nsouth,-2\n"}

Load = Callable[[str], Any]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports an example as a reader's own module, fresh for this test."""
    names = [file.stem for file in EXAMPLES.glob("*.py")]
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield import_module
    for name in names:
        sys.modules.pop(name, None)


def test_the_verifier_lowers_what_has_no_evidence(load: Load) -> None:
    """Its own codes are published, and each way through it ends in the verdict that the page names."""
    doubt = load("verifier").Doubt
    with in_process(load("app").executor, files=FILES) as rt:
        done = rt.execute({"data_url": URL})
        guess = {**done.answer["candidate_output"], "confidence": 0.1}

        assert rt.verify(done).status == "passed"
        assert rt.verify(done, output=guess).reason_codes == [doubt.SURE_OF_NOTHING]
        done.answer["evidence_inline"] = []
        assert rt.verify(done).status == "inconclusive"
        assert "NOTHING_CITED" in str(rt.capabilities())


def test_a_long_step_is_tried_again_inside_and_orders_once(load: Load) -> None:
    """The printer is not ready for the first two calls of one work; what can never work is refused."""
    page = load("long_steps")
    printer = page.Printer()
    with in_process(page.executor, overrides={page.printers: lambda: printer}) as rt:
        assert rt.execute({"topic": "sales"}, task_type="report").output.answer == "a report on sales"
        assert rt.execute({"topic": "a1b"}, task_type="count").output.answer == "2"
        with pytest.raises(Refuse, match="needs a topic"):
            rt.execute({"topic": " "}, task_type="report")

    assert list(printer.orders.values()) == ["a report on sales"]


def test_state_reaches_functions_and_classes(load: Load) -> None:
    """As it is opened, without any test's replacement."""
    with in_process(load("rates").executor) as rt:
        ask = {"amount": 2, "currency": "EUR"}

        assert rt.execute(ask, task_type="swarm").output.answer == "4.0"
        assert rt.execute(ask, task_type="forecast").output.answer == "model says 4.0"


def test_what_is_made_for_a_call_reads_its_task(load: Load) -> None:
    """The rows are not part of the inputs, and inputs that do not fit are refused before they are made."""
    with in_process(load("dependencies").executor, files=FILES) as rt:
        assert rt.execute({"data_url": URL}).output.answer == "3.0"
        with pytest.raises(InvalidInputsError):
            rt.execute({"rows": []})


def test_another_executor_is_asked(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the address on the page, which a test puts its own in place of."""
    page = load("asking")
    peer = load("app").executor.application(fetcher=Files(FILES, MemoryArtifacts()))
    with serve(peer) as served:
        client = page.ExecutorClient
        monkeypatch.setattr(page, "ExecutorClient", lambda url: client(url.replace(EXECUTOR_URL, served.url)))
        with in_process(page.executor) as rt:
            done = rt.execute({"data_url": URL})

    assert (done.output.decision, done.output.confidence) == ("GROWTH", 0.5)


def test_evidence_goes_where_the_page_says(load: Load) -> None:
    """Two short ones in the answer, and one that is kept by its digest."""
    with in_process(load("evidence").executor, files=FILES) as rt:
        done = rt.execute({"data_url": URL})

        assert [one.mime for one in done.evidence_inline] == ["text/plain", "application/json"]
        assert [rt.artifacts[ref.digest] for ref in done.evidence_refs] == [b"south,-2"]


def test_a_generator_ends_with_its_output(load: Load) -> None:
    """What it yields before is progress, and what it knows already."""
    with in_process(load("streaming").executor) as rt:
        done = rt.execute({"pages": ["a b", "c"]})

    assert done.output.answer == "3"
    assert done.progress == [(0.5, "page 1"), (1.0, "page 2")]
    assert done.partials == [{"answer": "2"}, {"answer": "3"}]


def test_each_task_type_has_its_verifier(load: Load) -> None:
    """And what no verifier names is judged by the one for all the rest."""
    with in_process(load("two_verifiers").executor) as rt:
        counted, said = (rt.execute({"text": "a b"}, task_type=one) for one in ("count", "upper"))

        assert rt.verify(counted, output={"answer": "", "words": -1}).reason_codes == [1001]
        assert rt.verify(said, output={"answer": ""}).reason_codes == [1002]
        assert rt.verify(counted).status == rt.verify(said).status == "passed"


def test_agent_events_are_decided(load: Load) -> None:
    """A reply, nothing to do, and an event that is only noted."""
    with in_process(load("events").executor) as rt:
        reply = rt.agent_event("topic_message_requires_reply", {"content": "hello"})

        assert (reply.action, reply.payload) == ("reply", {"content": "You said: hello"})
        assert rt.agent_event("topic_message_requires_reply", {"content": " "}).action == "noop"
        assert rt.agent_event("dm_received", {}).ok


def test_what_a_handler_reports(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    """A line of the log, and what was used; the payment is recorded under the step's own key."""
    page = load("payment")
    with caplog.at_level("INFO"), in_process(page.executor) as rt:
        done = rt.execute({"cents": 250})

    assert "paying 250 cents" in caplog.text
    assert done.metrics["paid"].value == 2.5
    assert page.recorded == list(page.paid)


def test_an_executor_is_mounted(load: Load) -> None:
    """Its endpoints stand below the path."""
    with serve(load("mounted").application) as served, httpx2.Client(trust_env=False) as http:
        assert http.get(f"{served.url}/agents/health").status_code == 200
