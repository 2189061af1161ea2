"""A function's parameters, each with where its value comes from; read while decorating, so mistakes are told there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import Enum, auto
from functools import cached_property
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin

from msgspec import Struct

from executor_sdk.authoring.annotations import annotated_part, name_of, resolved
from executor_sdk.authoring.depends import Depends, Make
from executor_sdk.errors import HandlerSignatureError


class Inputs(Struct, frozen=True):
    """The value is the caller's inputs, read as `annotation`."""

    annotation: Any


class Fact(Struct, frozen=True):
    """The value is a fact of the call: the Task, or the Candidate; `annotation` may say more, as Candidate[T] does."""

    kind: type
    annotation: Any


class Dependency(Struct, frozen=True):
    """The value is what `make` makes for the call."""

    make: Make
    signature: Signature


class ProcessState(Struct, frozen=True):
    """The value is a state of the process: what a lifespan yields that says `kind`."""

    kind: Any


Source: TypeAlias = Inputs | Fact | Dependency | ProcessState


class Parameter(Struct, frozen=True):
    """One parameter; `by_position` where it can be given by position only."""

    name: str
    by_position: bool
    source: Source


class Shape(Enum):
    """How a function is run. Asked once, while decorating: the question is dear."""

    FUNCTION = auto()
    COROUTINE = auto()
    GENERATOR = auto()
    ASYNC_GENERATOR = auto()

    @property
    def is_generator(self) -> bool:
        """Whether it yields."""
        return self is Shape.GENERATOR or self is Shape.ASYNC_GENERATOR

    @property
    def is_asynchronous(self) -> bool:
        """Whether it runs in the loop; the others get a thread."""
        return self is Shape.COROUTINE or self is Shape.ASYNC_GENERATOR


class Signature(Struct, frozen=True, dict=True):
    """The parameters of a function in their order, and what it is annotated to return (ANYTHING if it is not)."""

    parameters: tuple[Parameter, ...]
    returns: Any
    shape: Shape

    @cached_property
    def needs_making(self) -> bool:
        """Whether a parameter is more than inputs and facts: a dependency, made for the call, or a state."""
        return any(isinstance(one.source, Dependency | ProcessState) for one in self.parameters)

    @property
    def inputs(self) -> Inputs | None:
        """The one parameter that takes the caller's inputs."""
        return next((one.source for one in self.parameters if isinstance(one.source, Inputs)), None)

    def fact(self, kind: type) -> Fact | None:
        """The first parameter that takes the fact of this kind."""
        sources = (one.source for one in self.parameters)
        return next((source for source in sources if isinstance(source, Fact) and source.kind is kind), None)


#: Stands where an annotation is missing.
ANYTHING: Final = inspect.Parameter.empty


class Reader:
    """Reads signatures of functions that may ask for `facts` and `states`, in a place where `local_names` are known.

    The functions are methods where they have an `owner`: one of the states, to which their first parameter belongs.
    """

    def __init__(
        self,
        facts: tuple[type, ...],
        local_names: Mapping[str, Any],
        states: tuple[Any, ...] = (),
        owner: type | None = None,
    ) -> None:
        self._facts = facts
        self._local_names = dict(local_names)
        self._states = states
        self._owner = owner

    def handler(self, function: Callable[..., Any]) -> Signature:
        """The signature of a function that takes the caller's inputs beside what is injected.

        Raises:
            HandlerSignatureError: it cannot be called with a task; the message says what to write instead.
        """
        return self._read(function, takes_inputs=True, chain=())

    def injected(self, function: Callable[..., Any], chain: tuple[Make, ...] = ()) -> Signature:
        """The signature of a function all of whose parameters are injected: a verifier, a health check, a `make`."""
        return self._read(function, takes_inputs=False, chain=chain)

    def dependency(self, make: Make, chain: tuple[Make, ...] = ()) -> Dependency:
        """`make` and all that it depends on itself."""
        if make in chain:
            circle = " -> ".join(name_of(one) for one in (*chain[chain.index(make) :], make))
            raise HandlerSignatureError(f"dependencies go in a circle: {circle}; let one of them do without")
        return Dependency(make, self.injected(make, (*chain, make)))

    def _read(self, function: Callable[..., Any], *, takes_inputs: bool, chain: tuple[Make, ...]) -> Signature:
        hints = resolved(function, self._local_names)
        parameters = _parameters(function)
        if self._owner is not None and not chain:
            hints[_first(function, parameters).name] = self._owner
        read: list[Parameter] = []
        for parameter in parameters:
            annotation = hints.get(parameter.name, ANYTHING)
            source = self._source(parameter, annotation, chain)
            if source is None and takes_inputs:
                source = _first_inputs(function, parameter, annotation, read)
            if source is not None:
                read.append(Parameter(parameter.name, parameter.kind is parameter.POSITIONAL_ONLY, source))
            elif parameter.default is ANYTHING:
                raise _not_injected(function, parameter, self._facts)
        return Signature(tuple(read), hints.get("return", ANYTHING), _shape(function))

    def _source(self, parameter: inspect.Parameter, annotation: Any, chain: tuple[Make, ...]) -> Source | None:
        marks = list(get_args(annotation)[1:]) if get_origin(annotation) is Annotated else []
        for mark in (*marks, parameter.default):
            if isinstance(mark, Depends):
                return self.dependency(mark.make, chain)
        annotation = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
        if annotation in self._states:
            return ProcessState(annotation)
        kind = get_origin(annotation) or annotation
        found = next((fact for fact in self._facts if inspect.isclass(kind) and issubclass(kind, fact)), None)
        return None if found is None else Fact(found, annotation)


def _shape(function: Callable[..., Any]) -> Shape:
    asked = function if inspect.isclass(function) else annotated_part(function)
    if inspect.isasyncgenfunction(asked):
        return Shape.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(asked):
        return Shape.GENERATOR
    return Shape.COROUTINE if inspect.iscoroutinefunction(asked) else Shape.FUNCTION


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise HandlerSignatureError(f"{name_of(function)} has no signature to read; wrap it in a def") from None
    for parameter in parameters:
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise HandlerSignatureError(
                f"{name_of(function)}: nobody knows what to pass as {stars}{parameter.name}; name the parameters"
            )
    return parameters


def _first(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> inspect.Parameter:
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise HandlerSignatureError(f"{name_of(function)} is a method that takes no `self`; write it first")
    return parameters[0]


def _first_inputs(
    function: Callable[..., Any], parameter: inspect.Parameter, annotation: Any, read: list[Parameter]
) -> Inputs:
    taken = next((one.name for one in read if isinstance(one.source, Inputs)), None)
    if taken is not None:
        raise HandlerSignatureError(
            f"{name_of(function)}: {taken!r} takes the inputs already, so nothing is left for {parameter.name!r}; "
            "put all inputs into one model (class Ask(BaseModel): ...), annotate the task as `task: Task`, and "
            "anything else as `Annotated[X, Depends(make_x)]`, or as a type that a lifespan yields"
        )
    if annotation is ANYTHING and parameter.name == "task":
        raise HandlerSignatureError(f"{name_of(function)}: annotate the task, as `task: Task`")
    return Inputs(annotation)


def _not_injected(
    function: Callable[..., Any], parameter: inspect.Parameter, facts: tuple[type, ...]
) -> HandlerSignatureError:
    known = " or ".join(f"`{fact.__name__}`" for fact in facts)
    return HandlerSignatureError(
        f"{name_of(function)}: nobody can supply {parameter.name!r}; annotate it as "
        f"{known + ', or as ' if known else ''}`Annotated[X, Depends(make_x)]`, or give it a default"
    )
