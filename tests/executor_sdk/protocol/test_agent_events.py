"""Agent events on the wire: what a body must have, and what makes two deliveries one event."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from executor_sdk.protocol.agent_events import EVENT_TYPES, AgentEventRequest, agent_event_body, decision_breach
from executor_sdk.protocol.plain import NotJsonError
from executor_sdk.protocol.wire import WireError

#: As the contract has it, with all that may be left out.
WHOLE = {
    "event_id": "event-1",
    "event_type": "dm_received",
    "source_kind": "peer_direct_message",
    "source_node_id": "node-1",
    "target_agent_id": "agent-1",
    "target_executor": "core-agent",
    "agent_envelope": {"protocol": "a2a", "message_json": "{}"},
    "payload": {"b": 1, "a": [True]},
    "requires_commit": True,
    "allowed_actions": ["reply"],
    "correlation_id": "c-1",
    "dedupe_key": "dm:1",
    "created_at": 1_795_215_363_224,
}
OPTIONAL = {"source_node_id", "target_agent_id", "target_executor", "agent_envelope", "allowed_actions",
            "correlation_id", "dedupe_key"}  # fmt: skip


def read(**changes: Any) -> AgentEventRequest:
    """The whole event, changed."""
    return AgentEventRequest(orjson.dumps({"event": {**WHOLE, **changes}}))


def test_an_event_is_read_whole() -> None:
    """Unknown keys are allowed."""
    event = read(later=1).event

    assert {name: getattr(event, name) for name in WHOLE.keys() - {"payload", "agent_envelope"}} == {
        name: value for name, value in WHOLE.items() if name not in {"payload", "agent_envelope"}
    }
    assert orjson.loads(bytes(event.payload)) == WHOLE["payload"]


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_what_may_be_left_out_may_be_null_too(name: str) -> None:
    """All else is required."""
    rest = {key: value for key, value in WHOLE.items() if key != name}
    if name in OPTIONAL:
        AgentEventRequest(orjson.dumps({"event": rest}))
    else:
        with pytest.raises(WireError, match=f"missing required field `{name}`"):
            AgentEventRequest(orjson.dumps({"event": rest}))


@pytest.mark.parametrize("body", [b"{", b"[" * 200 + b"]" * 200, b'{"event": {"event_id": "\\ud800"}}'])
def test_what_is_no_json_is_told(body: bytes) -> None:
    """By the parser that all bodies go through."""
    with pytest.raises(NotJsonError):
        AgentEventRequest(body)


@pytest.mark.parametrize("name", ["payload", "agent_envelope"])
def test_a_number_that_no_float_holds_is_no_json(name: str) -> None:
    """It is told of the body, before any function of an author looks at what stays text."""
    body = orjson.dumps({"event": {**WHOLE, name: {"n": "HUGE"}}}).replace(b'"HUGE"', b"1e999")

    with pytest.raises(NotJsonError, match="infinity"):
        AgentEventRequest(body)


def test_a_key_names_the_event_or_else_its_id() -> None:
    """An id that looks like a key is none."""
    assert read().name == read(event_id="event-2", created_at=1).name
    assert read(dedupe_key=None).name != read(dedupe_key="event-1").name
    assert read(dedupe_key="").name == read(dedupe_key=None).name


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"event_id": "2", "created_at": 2, "correlation_id": None}, True),
        ({"payload": {"a": [True], "b": 1}}, True),
        ({"payload": {"a": [True], "b": 2}}, False),
        ({"event_type": "friend_request"}, False),
        ({"source_node_id": "node-2"}, False),
        ({"target_agent_id": "agent-2"}, False),
    ],
)
def test_a_digest_is_of_what_the_event_says(changes: dict[str, Any], is_same: bool) -> None:
    """Not of when it was made, nor of how it was written."""
    assert (read(**changes).digest() == read().digest()) is is_same


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_body_by_hand_is_one_that_a_kernel_sends(event_type: str) -> None:
    """With the kind of source that such events come from."""
    body = agent_event_body(event_type, {"a": 1}, created_at=7, dedupe_key="k")

    event = AgentEventRequest(orjson.dumps(body)).event

    assert (event.event_type, event.source_kind) == (event_type, EVENT_TYPES[event_type])
    assert (event.created_at, event.dedupe_key) == (7, "k")


def test_a_sentence_names_no_megabytes_of_allowed_actions() -> None:
    """Who sends the event writes them; the sentence is kept, and sent."""
    event = read(allowed_actions=["reply", *(f"action-{n}" for n in range(100_000))]).event

    told = decision_breach(event, route="wattswarm_direct", action="ignore", payload=None)

    assert told is not None
    assert "'ignore' is none of the actions that the event allows: reply, action-0" in told
    assert len(told) < 1_000
