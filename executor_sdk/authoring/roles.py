"""Roles: what a function is to an executor, read from its signature and written into the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from executor_sdk.authoring import handler as handlers
from executor_sdk.authoring import health, verifier
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


class Checks(Struct, frozen=True):
    """What `health` says of a function."""


Role: TypeAlias = Executes | Verifies | Checks


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
        case Checks():
            registry.set_health_check(health.define(function, Reader((), local_names, states, owner)))
