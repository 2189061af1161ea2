"""Agent events: the body of `POST /agent-events`, what its events are about, and which decisions a kernel acts on."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, Literal, TypeAlias
from uuid import uuid4

import msgspec
from msgspec import Raw

from executor_sdk.protocol.canonical import sorted_bytes
from executor_sdk.protocol.incoming import DIGEST_BYTES, decoded
from executor_sdk.protocol.plain import MAX_DEPTH, Json, parse

#: Every type of event that a kernel sends, with the kind of source that it comes from.
EVENT_TYPES: Final[Mapping[str, str]] = {
    "friend_request": "peer_relationship",
    "dm_received": "peer_direct_message",
    "payment_request": "payment_summary",
    "payment_update": "payment_summary",
    "task_claim_received": "task_lifecycle",
    "task_claim_decision_received": "task_lifecycle",
    "task_result_received": "task_lifecycle",
    "task_completion_decision_received": "task_lifecycle",
    "task_settled_received": "task_lifecycle",
    "topic_message_requires_reply": "topic_message",
    "third_party_result": "service_net_result",
}

#: Who carries a decision out: nobody, the commit plane beside the kernel, or the kernel itself.
Route: TypeAlias = Literal["noop", "wattetheria_commit", "wattswarm_direct"]

#: What a kernel does by itself, by the type of the event.
DIRECT_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "task_result_received": ("accept_result", "reject_result", "request_retry", "human_review"),
    "task_claim_received": ("decide_claim", "human_review"),
    "topic_message_requires_reply": ("reply", "ignore"),
}

#: Characters of allowed actions that a sentence names; an event may have megabytes of them.
_SHOWN: Final = 200

_ABSENT: Final = Raw(b"null")


class EventText(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One agent event as `POST /agent-events` carries it; `created_at` in epoch milliseconds."""

    event_id: str
    event_type: str
    source_kind: str
    payload: Raw
    requires_commit: bool
    created_at: int
    source_node_id: str | None = None
    target_agent_id: str | None = None
    target_executor: str | None = None
    agent_envelope: Raw = _ABSENT
    allowed_actions: list[str] = []
    correlation_id: str | None = None
    dedupe_key: str | None = None


class _Body(msgspec.Struct, frozen=True, gc=False):
    event: EventText


_DECODER: Final = msgspec.json.Decoder(_Body)


class AgentEventRequest:
    """One request to react to an agent event."""

    __slots__ = ("event",)

    def __init__(self, body: bytes, *, max_depth: int = MAX_DEPTH) -> None:
        """Read `body`.

        Raises:
            NotJsonError: it is no JSON text, or nests deeper than `max_depth`.
            WireError: a field is missing or has another type.
        """
        self.event: Final = decoded(_DECODER, body, max_depth).event
        for text in (self.event.payload, self.event.agent_envelope):
            # Here, and not where the author's function looks at it: as text, a number that no float holds has passed.
            parse(bytes(text), max_depth=None)

    @property
    def name(self) -> str:
        """What all deliveries of the event have in common: its `dedupe_key`, or else its id."""
        event = self.event
        return f"dedupe {event.dedupe_key}" if event.dedupe_key else f"event {event.event_id}"

    def digest(self) -> bytes:
        """What the event says. A key that comes again with a new id or time says the same."""
        event = self.event
        said = [event.event_type, event.source_kind, event.source_node_id, event.target_agent_id]
        payload = parse(bytes(event.payload), max_depth=None)
        return blake2b(sorted_bytes([*said, payload]), digest_size=DIGEST_BYTES).digest()


def decision_breach(event: EventText, *, route: Route, action: str, payload: Json) -> str | None:
    """Why a kernel would not act on a decision about `event`, with what to write instead; None where it would."""
    if route != "noop" and event.allowed_actions and action not in event.allowed_actions:
        return f"{action!r} is none of the actions that the event allows: {', '.join(event.allowed_actions):.{_SHOWN}}"
    if route != "wattswarm_direct":
        return None
    known = DIRECT_ACTIONS.get(event.event_type)
    if known is None:
        return (
            f"a kernel does nothing by itself about {event.event_type!r}; return Decision.commit({action!r}), or "
            "Decision.noop()"
        )
    if action not in known:
        return f"a kernel cannot do {action!r} about {event.event_type!r}; there are {', '.join(known)}"
    if action == "reply" and not (isinstance(payload, dict) and isinstance(payload.get("content"), str)):
        return "a reply without its text; write Decision.direct('reply', {'content': 'the text'})"
    return None


def event_answer(
    event: EventText, *, ok: bool, acked_at: int, detail: str = "", decision: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """The body of a 200 from `/agent-events`; `acked_at` in epoch milliseconds.

    The id of a decision derives from the event's: one that is made once more, because nobody heard the first, is the
    same to the one who carries it out.
    """
    answer: dict[str, Json] = {"ok": ok, "acked_at": acked_at}
    if detail:
        answer["detail"] = detail
    if decision is not None:
        answer["decision"] = {"decision_id": f"decision-{event.event_id}", **decision}
    return answer


def agent_event_body(event_type: str, payload: Json, *, created_at: int, **fields: Json) -> dict[str, Json]:
    """The body that a kernel sends; `fields` are put over the usual ones, as `allowed_actions=["reply"]`."""
    usual = {
        "event_id": f"event-{uuid4()}",
        "event_type": event_type,
        "source_kind": EVENT_TYPES.get(event_type, "service_net_result"),
        "target_executor": "core-agent",
        "payload": payload,
        "requires_commit": False,
        "created_at": created_at,
    }
    return {"event": {**usual, **fields}}
