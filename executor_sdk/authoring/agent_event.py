"""What an author's function for agent events is given and gives back: an event with its payload, and a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Self, TypeVar, get_args

from executor_sdk.authoring.encoding import named
from executor_sdk.misuse import MisuseError, called_as
from executor_sdk.protocol.agent_events import EventText, Route
from executor_sdk.protocol.plain import Json, parse

T = TypeVar("T")

_NOOP: Final = "Decision.noop('nothing to do')"
_DIRECT: Final = "Decision.direct('reply', {'content': 'the text'})"
_COMMIT: Final = "Decision.commit('transfer', {'amount': 3})"
_FAILED: Final = "Decision.failed('why nothing came of it')"


class AgentEvent(Generic[T]):
    """Something that happened around an agent, as a kernel tells it. `payload` is of the type in `AgentEvent[Message]`.

    All of it comes from other nodes. Nobody has checked a signature in `envelope`.
    """

    def __init__(self, view: EventText, payload: T) -> None:
        self.payload = payload
        self._view = view

    @property
    def event_id(self) -> str:
        """The kernel's name of the event."""
        return self._view.event_id

    @property
    def event_type(self) -> str:
        """What happened, as `dm_received`."""
        return self._view.event_type

    @property
    def source_kind(self) -> str:
        """What kind of source it comes from, as `peer_direct_message`."""
        return self._view.source_kind

    @property
    def source_node_id(self) -> str | None:
        """The node it comes from."""
        return self._view.source_node_id

    @property
    def target_agent_id(self) -> str | None:
        """The agent that it is meant for."""
        return self._view.target_agent_id

    @property
    def target_executor(self) -> str | None:
        """The kernel's name for this executor."""
        return self._view.target_executor

    @property
    def plain_payload(self) -> Json:
        """The payload as it came."""
        return parse(bytes(self._view.payload))

    @property
    def envelope(self) -> Json:
        """The agent envelope as it came; None without one."""
        return parse(bytes(self._view.agent_envelope))

    @property
    def requires_commit(self) -> bool:
        """Whether the kernel wants a decision for the commit plane."""
        return self._view.requires_commit

    @property
    def allowed_actions(self) -> Sequence[str]:
        """What a decision may ask for; empty where the event does not say."""
        return self._view.allowed_actions

    @property
    def correlation_id(self) -> str | None:
        """What this event has in common with others."""
        return self._view.correlation_id

    @property
    def dedupe_key(self) -> str | None:
        """What all deliveries of the event have in common."""
        return self._view.dedupe_key

    @property
    def created_at(self) -> int:
        """When it was made, in epoch milliseconds."""
        return self._view.created_at


@dataclass(frozen=True)
class Decision:
    """What is to be done about an agent event: `Decision.noop()`, `.direct(...)`, `.commit(...)` or `.failed(...)`.

    Raises:
        MisuseError: it is none; the message says what to write instead.
    """

    #: Whether the event was dealt with; false is final: the kernel notes the event as failed.
    ok: bool = True
    route: Route = "noop"
    action: str = "noop"
    #: What the action needs, as JSON or as anything that becomes JSON: a model, a dataclass.
    payload: Any = None
    #: Why, for people: about the decision, and where there is none, about the failure.
    reason: str = ""

    def __post_init__(self) -> None:
        if self.route not in get_args(Route):
            raise MisuseError(f"there is no route {self.route!r}; write {_DIRECT}, {_COMMIT} or {_NOOP}")
        example = _DIRECT if self.route == "wattswarm_direct" else _COMMIT
        if not _is_name(self.action):
            raise MisuseError(f"an action has a name, not {self.action!r}; write {example}")
        if not isinstance(self.reason, str):
            raise MisuseError(
                f"a reason is a sentence, not {named(self.reason)}; write {_NOOP if self.ok else _FAILED}"
            )

    @classmethod
    @called_as(_NOOP)
    def noop(cls, reason: str = "") -> Self:
        """The event was dealt with, and nobody has to do anything."""
        return cls(reason=reason)

    @classmethod
    @called_as(_DIRECT)
    def direct(cls, action: str, payload: Any = None, *, reason: str = "") -> Self:
        """The kernel itself is to do `action`: it knows some for task results, task claims and topic messages."""
        return cls(True, "wattswarm_direct", action, payload, reason)

    @classmethod
    @called_as(_COMMIT)
    def commit(cls, action: str, payload: Any = None, *, reason: str = "") -> Self:
        """The commit plane beside the kernel is to do `action`."""
        return cls(True, "wattetheria_commit", action, payload, reason)

    @classmethod
    @called_as(_FAILED)
    def failed(cls, reason: str) -> Self:
        """Nothing came of the event, and nobody need send it again."""
        return cls(False, reason=reason)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
