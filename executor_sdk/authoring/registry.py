"""The registry: which handler does which task type, who verifies, who says whether all is well, on which state."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

from msgspec import structs

from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.event_handler import EventHandler, EventHandlers
from executor_sdk.authoring.handler import Handler
from executor_sdk.authoring.health import HealthCheck
from executor_sdk.authoring.lifespan import Lifespan
from executor_sdk.authoring.verifier import Verifier
from executor_sdk.authoring.verifiers import Verifiers
from executor_sdk.errors import DefinitionError, DuplicateHandlerError, UnknownTaskTypeError
from executor_sdk.protocol.plain import Json
from executor_sdk.settings import Settings

#: Version of what /capabilities says beyond the four fields of the contract.
SCHEMA_VERSION: Final = 1


@dataclass
class HandlerRegistry:
    """What one executor can do. Filled while decorating, then only read."""

    provider_family: str
    model_id: str
    handlers: list[Handler] = field(default_factory=list)
    verifiers: Verifiers = field(default_factory=Verifiers)
    event_handlers: EventHandlers = field(default_factory=EventHandlers)
    health_check: HealthCheck | None = None
    lifespans: list[Lifespan] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, example in (("provider_family", "acme"), ("model_id", "drivers-1")):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise DefinitionError(f"{name} is {value!r:.80}; it must be text: write {name}={example!r}")
            if not value.strip():
                raise DefinitionError(f"{name} is blank; kernels keep an executor's reputation under it, so name one")
        self._by_name: dict[tuple[str, str], Handler] = {}
        self._task_types: dict[str, None] = {}
        for handler in self.handlers:
            self._index(handler)

    def add(self, handler: Handler) -> None:
        """Take `handler` in.

        Raises:
            DuplicateHandlerError: its task type and profile are taken.
        """
        self._check_free(handler)
        self._index(handler)
        self.handlers.append(handler)

    def set_health_check(self, check: HealthCheck) -> None:
        """Take the one health check in."""
        self._check_no_health_check(check)
        self.health_check = check

    def add_lifespan(self, lifespan: Lifespan) -> None:
        """Take `lifespan` in; one that is there already is opened once.

        Raises:
            DefinitionError: another one yields the same type.
        """
        self._check_kind(lifespan)
        if not self._has(lifespan):
            self.lifespans.append(lifespan)

    def include(self, other: HandlerRegistry) -> None:
        """Take in all that `other` can do; nothing of it where part of it cannot be taken.

        Raises:
            DefinitionError: both want to do the same; the message names both.
        """
        for handler in other.handlers:
            self._check_free(handler)
        for verifier in other.verifiers:
            self.verifiers.check(verifier)
        for event_handler in other.event_handlers:
            self.event_handlers.check(event_handler)
        if other.health_check is not None:
            self._check_no_health_check(other.health_check)
        for lifespan in other.lifespans:
            self._check_kind(lifespan)
        for lifespan in other.lifespans:
            self.add_lifespan(lifespan)
        for handler in other.handlers:
            self.add(handler)
        for verifier in other.verifiers:
            self.verifiers.add(verifier)
        for event_handler in other.event_handlers:
            self.event_handlers.add(event_handler)
        self.health_check = other.health_check or self.health_check

    def left_to(self, options: Collection[str]) -> HandlerRegistry:
        """The same, but for limits of its functions that the `options` of the settings decide."""
        if not options:
            return self
        left = [structs.replace(one, limits=one.limits.left_to(options)) for one in self.handlers]
        events = EventHandlers()
        for one in self.event_handlers:
            events.add(structs.replace(one, limits=one.limits.left_to(options)))
        return replace(self, handlers=left, event_handlers=events)

    @property
    def states(self) -> tuple[Any, ...]:
        """The types by which functions may ask for the state of the process, the settings among it."""
        return (Settings, *(lifespan.kind for lifespan in self.lifespans if lifespan.kind is not None))

    def find(self, task_type: str, profile: str) -> Handler:
        """The handler for a task.

        Raises:
            UnknownTaskTypeError: there is none; the message lists what there is.
        """
        handler = self._by_name.get((task_type, profile))
        if handler is None:
            raise UnknownTaskTypeError(self._what_there_is(task_type, profile))
        return handler

    @property
    def task_types(self) -> list[str]:
        """All task types, each once, as first declared."""
        return list(self._task_types)

    @property
    def only_verifier(self) -> Verifier | None:
        """The verifier that judges whatever comes, where there is no second task type that it could ask for."""
        return self.verifiers.only if len(self._task_types) < 2 else None

    @property
    def profiles(self) -> list[str]:
        """All profiles, each once, as first declared."""
        return list(dict.fromkeys(profile for handler in self.handlers for profile in handler.profiles))

    def capabilities(self, settings: Settings) -> dict[str, Json]:
        """The document of /capabilities: the contract's four fields first, then what this kit adds."""
        return {
            "task_types": self.task_types,
            "profiles": self.profiles,
            "provider_family": self.provider_family,
            "model_id": self.model_id,
            "schema_version": SCHEMA_VERSION,
            "handlers": [_described(handler, settings) for handler in self.handlers],
            "reason_codes": {str(code): name for code, name in self.verifiers.own_codes.items()},
            "verifier": len(self.verifiers) > 0,
            "verifiers": [_told(one, "task_types", "output_schema") for one in self.verifiers],
            "agent_events": [_told(one, "event_types", "payload_schema") for one in self.event_handlers],
        }

    def _index(self, handler: Handler) -> None:
        self._by_name.update(dict.fromkeys(((handler.task_type, one) for one in handler.profiles), handler))
        self._task_types[handler.task_type] = None

    def _check_free(self, handler: Handler) -> None:
        for profile in handler.profiles:
            taken = self._by_name.get((handler.task_type, profile))
            if taken is not None:
                raise DuplicateHandlerError(
                    f"{taken.name} and {handler.name} both want task type {handler.task_type!r} in profile "
                    f"{profile!r}; give one of them another task type, or profiles=('another',)"
                )

    def _check_no_health_check(self, check: HealthCheck) -> None:
        if self.health_check is not None:
            raise DuplicateHandlerError(
                f"a health check is there already, {self.health_check.name}; let one function ask all that must be "
                f"asked, and call {check.name}"
            )

    def _check_kind(self, lifespan: Lifespan) -> None:
        taken = next((one for one in self.lifespans if lifespan.kind is not None and one.kind == lifespan.kind), None)
        if taken is not None and not self._has(lifespan):
            kind = name_of(lifespan.kind)
            raise DefinitionError(
                f"{name_of(taken.source)} and {name_of(lifespan.source)} both yield {kind}, and functions ask for a "
                f"state by its type; let one of them yield another class, as class Other{kind}({kind})"
            )

    def _has(self, lifespan: Lifespan) -> bool:
        return any(one.source is lifespan.source for one in self.lifespans)

    def _what_there_is(self, task_type: str, profile: str) -> str:
        if task_type in self.task_types:
            there = [one for handler in self.handlers if handler.task_type == task_type for one in handler.profiles]
            return f"task type {task_type!r} has no profile {profile!r}; there is {', '.join(there)}"
        return f"no handler takes task type {task_type!r}; there is {', '.join(self.task_types) or 'none'}"


def _described(handler: Handler, settings: Settings) -> dict[str, Json]:
    return {
        "task_type": handler.task_type,
        "profiles": list(handler.profiles),
        "description": _first_line(handler.function),
        "timeout_s": handler.timeout_s(settings),
        "max_concurrency": handler.max_concurrency,
        "input_schema": handler.input_schema,
        "output_schema": handler.output_schema,
    }


def _told(one: Verifier | EventHandler, kinds: str, schema: str) -> dict[str, Json]:
    # Null stands for all that no other function is for.
    return {kinds: list(one.kinds) or None, "description": _first_line(one.function), schema: one.shape.schema}


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]
