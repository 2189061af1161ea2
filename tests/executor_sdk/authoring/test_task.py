"""A task tells its facts, collects evidence, and stops who is no longer wanted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import anyio.to_thread
import pytest

from executor_sdk import FetchError, TaskCancelled
from executor_sdk.protocol.digests import content_digest
from executor_sdk.testing.tasks import a_task

SIGNAL = {"type": "NEED_MORE_EVIDENCE", "iteration": 1, "path": "NULL_PATH"}


def test_the_facts_of_a_re_explored_step() -> None:
    """As the kernel sends them."""
    hit = {"hit_type": "Similar", "reuse_payload": {"answer": "x"}}
    task = a_task(
        {"agent_id": "analyst-a", "prompt": "p", "_aggregation_signal": SIGNAL, "data_url": "u"},
        task_id="run-r-1-analyst-a-3",
        stage="DECIDE",
        seed_bundle={"seed_type": "SIMILAR_HITS_V1", "hits": [hit]},
    )

    assert (task.agent_id, task.prompt, task.attempt, task.round) == ("analyst-a", "p", 3, 2)
    assert (task.signal, task.stage, task.seeds) == ("NEED_MORE_EVIDENCE", "DECIDE", [hit])
    assert (task.task_type, task.profile, task.step_key) == ("swarm", "default", b"step-test".hex())
    assert task.contract["task_type"] == "swarm"
    assert 0 < task.remaining_s() <= 30
    task.deadline_ms -= 60_000
    assert task.remaining_s() == 0


@pytest.mark.parametrize("inputs", [None, {}, [], "text", {"agent_id": 1, "prompt": [], "_aggregation_signal": "x"}])
def test_the_facts_of_a_task_made_by_hand(inputs: Any) -> None:
    """Whatever the inputs are, nothing raises."""
    task = a_task(inputs, task_id="report-2024")

    assert (task.agent_id, task.prompt, task.attempt, task.round) == (None, None, 1, 1)
    assert (task.signal, task.seeds) == (None, [])


def test_evidence_is_collected_as_it_will_be_sent() -> None:
    """The same bytes are cited once."""
    task = a_task()
    task.evidence("looked at 3 rows")
    task.evidence("{}", mime="application/json")
    ref = task.artifact(b"rows", "text/csv")
    task.artifact(b"rows", "text/csv")
    named = task.artifact(b"other", "text/csv", uri="https://data.test/other.csv")

    assert task.evidence_inline == [
        {"mime": "text/plain", "content": "looked at 3 rows"},
        {"mime": "application/json", "content": "{}"},
    ]
    assert ref.digest == content_digest(b"rows")
    assert [one["digest"] for one in task.evidence_refs] == [ref.digest, named.digest]
    assert task.evidence_refs[1]["uri"] == "https://data.test/other.csv"


@pytest.mark.parametrize(
    ("given", "mime", "content"),
    [
        ("text", "text/plain", "text"),
        (b"bytes", "text/plain", "bytes"),
        (date(2026, 1, 2), "text/plain", "2026-01-02"),
        (
            {"total": Decimal("1.50"), "days": {date(2026, 1, 2)}},
            "application/json",
            '{"total":"1.50","days":["2026-01-02"]}',
        ),
        (5, "application/json", "5"),
    ],
)
def test_evidence_that_is_no_text_goes_out_as_json(given: object, mime: str, content: str) -> None:
    """Written as an output would be; a type that the author names stays."""
    task = a_task()
    task.evidence(given)
    task.evidence(given, "text/csv")

    assert task.evidence_inline == [{"mime": mime, "content": content}, {"mime": "text/csv", "content": content}]


def test_progress_stops_who_is_no_longer_wanted() -> None:
    """And who asks is told."""
    task = a_task(cancel_at=0.5)
    task.progress(0.4, "on the way")
    task.check()
    assert not task.cancelled

    with pytest.raises(TaskCancelled):
        task.progress(7, "clipped to 1")
    with pytest.raises(TaskCancelled):
        task.check()
    assert task.cancelled


def test_an_ended_task_takes_no_more() -> None:
    """A thread left behind at its deadline stops at its next word."""
    task = a_task()
    task.end()

    assert task.cancelled
    with pytest.raises(TaskCancelled):
        task.progress(0.1)


@pytest.mark.anyio
async def test_bytes_are_fetched_from_both_kinds_of_functions() -> None:
    """A plain function asks from its thread."""
    task = a_task(files={"u": b"rows"})

    assert await task.fetch("u") == b"rows"
    assert await anyio.to_thread.run_sync(task.fetch_sync, "u") == b"rows"
    with pytest.raises(FetchError, match="more than 3 bytes"):
        await task.fetch("u", max_bytes=3)
    with pytest.raises(FetchError, match="has no file for v"):
        await task.fetch("v")
