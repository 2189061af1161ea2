"""Classes of an author: their methods are marked here, and read when an executor includes the class.

The verb is `include`, as routers and task modules of other frameworks are included, and the same for a class as for an
executor: both are declared apart, and taken over whole. A class is no base class to derive from, so it can be any.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.decorators import Decorators
from executor_sdk.authoring.lifespan import lifespan_of, method_of
from executor_sdk.authoring.registry import HandlerRegistry
from executor_sdk.authoring.roles import Checks, Role, register
from executor_sdk.errors import DefinitionError

#: Where a marked method keeps its roles.
_ROLES: Final = "__executor_roles__"


class Marks(Decorators):
    """Decorators for methods: nothing happens before `executor.include` takes in the class."""

    def _take(self, function: Callable[..., Any], role: Role) -> None:
        if not is_method(function):
            if "." in name_of(function):
                raise DefinitionError(f"{name_of(function)} is a method that takes no `self`; write it first")
            raise DefinitionError(
                f"{name_of(function)} is no method of a class; write @executor.execute or @executor.verify above it"
            )
        setattr(function, _ROLES, (*getattr(function, _ROLES, ()), role))


execute: Final = Marks().execute
verify: Final = Marks().verify
agent_event: Final = Marks().agent_event


def is_method(function: Callable[..., Any]) -> bool:
    """Whether it was written inside a class, to be called on an instance."""
    if not inspect.isfunction(function) or "." not in name_of(function):
        return False
    return next(iter(inspect.signature(function).parameters), None) == "self"


def members_of(taken: type, local_names: Mapping[str, Any], beside: HandlerRegistry) -> HandlerRegistry:
    """What the methods of a class can do, and the lifespan of its instance, for an executor that has those `beside`.

    Raises:
        DefinitionError: the class cannot work as it is; the message says what to write instead.
    """
    members = HandlerRegistry(beside.provider_family, beside.model_id, lifespans=[lifespan_of(taken)])
    marked = list(_marked(taken))
    if not marked:
        raise DefinitionError(
            f"{taken.__qualname__} has no method for any task; write `from executor_sdk import execute`, and "
            "@execute('swarm') above the method"
        )
    if (check := method_of(taken, "health")) is not None:
        marked.append((check, Checks()))
    known = {**local_names, taken.__name__: taken}
    for function, role in marked:
        register(members, function, role, known, states=(*beside.states, taken), owner=taken)
    return members


def _marked(taken: type) -> Iterator[tuple[Callable[..., Any], Role]]:
    for name in dict.fromkeys(name for one in reversed(taken.__mro__) for name in vars(one)):
        found = inspect.getattr_static(taken, name)
        for role in getattr(getattr(found, "__func__", found), _ROLES, ()):
            yield method_of(taken, name) or found, role
