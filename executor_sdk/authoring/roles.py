"""Roles: what a function is to an executor, read from its signature and written into the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from executor_sdk.authoring import event_handler, health, verifier
from executor_sdk.authoring import handler as handlers
from executor_sdk.authoring.agent_event import AgentEvent
from executor_sdk.authoring.handler import Limits
from executor_sdk.authoring.registry import HandlerRegistry
from executor_sdk.authoring.signature import Reader
from executor_sdk.authoring.task import Task
from executor_sdk.authoring.verdict import Candidate


class Executes(Struct, frozen=True):
    """What `execute` says of a function: which tasks it does, and within which limits."""

    task_type: str
    profiles: Sequence[str]
    limits: Limits
    needs_answer: bool


class Verifies(Struct, frozen=True):
    """What `verify` says of a function: whose candidates it judges; empty: all that no other judges."""

    task_types: Sequence[str]


class Handles(Struct, frozen=True):
    """What `agent_event` says of a function: which events it is told; empty: all that no other is told."""

    event_types: Sequence[str]
    limits: Limits


class Checks(Struct, frozen=True):
    """What `health` says of a function."""


Role: TypeAlias = Executes | Verifies | Handles | Checks


def register(
    registry: HandlerRegistry,
    function: Callable[..., Any],
    role: Role,
    local_names: Mapping[str, Any],
    *,
    states: tuple[Any, ...],
    owner: type | None = None,
) -> None:
    """Let `function`, a method where it has an `owner`, have `role` in what `registry` can do.

    Raises:
        DefinitionError: it cannot work as it is, or what it wants to do is done by another.
    """
    match role:
        case Executes():
            registry.add(
                handlers.define(
                    function,
                    Reader((Task,), local_names, states, owner),
                    task_type=role.task_type,
                    profiles=role.profiles,
                    limits=role.limits,
                    needs_answer=role.needs_answer,
                )
            )
        case Verifies():
            reader = Reader((Candidate,), local_names, states, owner)
            registry.verifiers.add(verifier.define(function, reader, task_types=role.task_types))
        case Handles():
            reader = Reader((AgentEvent,), local_names, states, owner)
            registry.event_handlers.add(
                event_handler.define(function, reader, event_types=role.event_types, limits=role.limits)
            )
        case Checks():
            registry.set_health_check(health.define(function, Reader((), local_names, states, owner)))
