"""An author's function for agent events: it is told what happened, and decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

from msgspec import Struct

from executor_sdk.authoring.agent_event import AgentEvent, Decision
from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.awaiting import AWAIT, close_unawaited, is_unawaited
from executor_sdk.authoring.by_kind import ByKind
from executor_sdk.authoring.calling import Surroundings, call
from executor_sdk.authoring.encoding import NotPlainError, encoded, misplaced, named
from executor_sdk.authoring.handler import Limits
from executor_sdk.authoring.schema import PayloadShape
from executor_sdk.authoring.signature import ANYTHING, Reader, Signature
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import DefinitionError, HandlerCrashedError, HandlerSignatureError, InvalidOutputError
from executor_sdk.options.option import closest
from executor_sdk.protocol.agent_events import EVENT_TYPES, EventText, decision_breach
from executor_sdk.protocol.plain import Json
from executor_sdk.settings import Settings

_RETURN: Final = "return Decision.noop(), Decision.direct('reply', {'content': 'the text'}), or None"


class Decided(Struct, frozen=True):
    """What came of an event: `decision` as plain JSON, without its id; None where nothing was decided."""

    ok: bool = True
    detail: str = ""
    decision: dict[str, Json] | None = None


class EventHandler(Struct, frozen=True, eq=False):
    """One function behind some types of agent events. Equal to itself only, so it can be a key."""

    function: Callable[..., Any]
    #: The event types that it is for; empty: all that no other handles.
    kinds: tuple[str, ...]
    limits: Limits
    signature: Signature
    shape: PayloadShape

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return name_of(self.function)

    def timeout_s(self, settings: Settings) -> float:
        """Seconds that the function may take."""
        return settings.timeout_s if self.limits.timeout_s is None else self.limits.timeout_s

    async def decide(self, view: EventText, payload: Any, around: Surroundings, alarms: Alarms) -> Decided:
        """What the function makes of one event before the alarm rings; `payload` is the event's, as the author's type.

        Raises:
            TaskError, Refuse, FetchError: as the author raised them, or TaskTimeoutError, HandlerCrashedError.
            InvalidOutputError: the decision is no JSON, or none that a kernel acts on.
        """
        facts: dict[type, object] = {AgentEvent: AgentEvent(view, payload)}
        decision = await call(self.function, self.signature, around, facts=facts, alarms=alarms)
        if decision is None:
            return Decided()
        if not isinstance(decision, Decision):
            close_unawaited(decision)
            what = (misplaced(decision) or (named(decision),))[0]
            raise HandlerCrashedError(f"{self.name} returned {what}: {AWAIT if is_unawaited(decision) else _RETURN}")
        if not decision.ok:
            return Decided(ok=False, detail=decision.reason)
        return Decided(decision=self._plain(view, decision))

    def _plain(self, view: EventText, decision: Decision) -> dict[str, Json]:
        try:
            payload = encoded(decision.payload)
            reason = encoded(decision.reason)
        except NotPlainError as error:
            raise InvalidOutputError(f"{self.name} returned a decision with {error}") from None
        breach = decision_breach(view, route=decision.route, action=decision.action, payload=payload)
        if breach is not None:
            raise InvalidOutputError(f"{self.name} decided what no kernel acts on: {breach}")
        told: dict[str, Json] = {"action": decision.action, "route": decision.route}
        return told | ({"reason": reason} if reason else {}) | ({} if payload is None else {"payload": payload})


class EventHandlers(ByKind[EventHandler]):
    """At most one function for each type of agent event, and at most one for all others."""

    VERB = "handle"
    VERBS = "handles"
    KIND = "event type"
    EXAMPLE = "@executor.agent_event('dm_received')"


def define(function: Callable[..., Any], reader: Reader, *, event_types: Sequence[str], limits: Limits) -> EventHandler:
    """The event handler of `function`, or a DefinitionError that says what to write instead."""
    _check_names(function, event_types)
    signature = reader.injected(function)
    fact = signature.fact(AgentEvent)
    if fact is None:
        raise HandlerSignatureError(f"{name_of(function)}: it takes no event; write `event: AgentEvent[Message]`")
    returns = set(get_args(signature.returns)) or {signature.returns}
    if signature.shape.is_generator or not returns <= {ANYTHING, Decision, type(None)}:
        raise HandlerSignatureError(
            f"{name_of(function)}: a function for agent events returns a decision, or None where there is nothing to "
            "decide; write `-> Decision` or `-> None`"
        )
    payload = (get_args(fact.annotation) or (ANYTHING,))[0]
    kinds = tuple(dict.fromkeys(event_types))
    return EventHandler(function, kinds, limits, signature, PayloadShape(payload, function))


def _check_names(function: Callable[..., Any], event_types: Sequence[str]) -> None:
    for one in event_types:
        if not isinstance(one, str):
            raise DefinitionError(
                f"{name_of(function)}: an event type is text, not {named(one)}; write "
                "@executor.agent_event('dm_received', 'friend_request'), or leave the parentheses out for all event "
                "types that no other function handles"
            )
        if one not in EVENT_TYPES:
            guess = closest(one, EVENT_TYPES)
            hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(EVENT_TYPES)}."
            raise DefinitionError(
                f"{name_of(function)}: no kernel sends an event {one!r}; {hint} Events of later kernels go to a bare "
                "@executor.agent_event"
            )
