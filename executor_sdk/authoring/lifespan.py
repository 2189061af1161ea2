"""Lifespans: functions of an author that open the state of a process before its first request, and close it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeAlias, get_args, get_origin

import anyio.to_thread
from msgspec import Struct

from executor_sdk.authoring.annotations import name_of, resolved
from executor_sdk.authoring.calling import Surroundings
from executor_sdk.errors import DefinitionError, StartError
from executor_sdk.misuse import named
from executor_sdk.settings import Settings

logger = logging.getLogger(__name__)

#: What an author gives: a generator, or what `@asynccontextmanager` makes of one; it may take the executor, and the
#: settings under which it is served.
Opener: TypeAlias = Callable[..., AbstractAsyncContextManager[Any] | AsyncIterator[Any]]

#: Whose classes stand for anything, so that a parameter of such a type says nothing about where its value comes from.
_TOO_COMMON: Final = {"builtins", "typing", "collections", "collections.abc", "types"}

_EXAMPLE: Final = "`@asynccontextmanager`, `async def pools() -> AsyncIterator[Pools]:`, `yield Pools(...)`"


class Lifespan(Struct, frozen=True, eq=False):
    """One part of the state of a process, from its opening to its closing."""

    #: As the author wrote it: a function, or the class of the instance.
    source: Callable[..., Any]
    #: The type by which functions ask for what it yields; None where it yields nothing.
    kind: Any
    manager: Callable[[Settings], AbstractAsyncContextManager[object]]

    async def open(self, stack: AsyncExitStack, settings: Settings) -> object:
        """What it yields; `stack` closes it. Both end in the time that the settings give.

        Raises:
            StartError: it raised, took too long, or yields something else than it says; the cause holds the traceback.
        """
        name, manager = name_of(self.source), self.manager(settings)
        limit = asyncio.timeout(settings.setup_s)
        try:
            async with limit:
                value = await manager.__aenter__()
        except StartError:
            raise
        except Exception as error:
            what = f"did not open within {settings.setup_s:g} s (setup_s)" if limit.expired() else _raised(error)
            sentence = f"{name} {what}, so this executor does not start"
            raise StartError(f"{sentence}; the log has the traceback") from error
        stack.push_async_exit(_Close(name, manager, settings.close_s))
        return value


class _Close(Struct, frozen=True):
    """The end of one part: a part that does not end in time is left as it is, so that the next ones are closed."""

    name: str
    manager: AbstractAsyncContextManager[object]
    close_s: float

    async def __call__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        limit = asyncio.timeout(self.close_s)
        try:
            async with limit:
                return await self.manager.__aexit__(kind, error, trace)
        except TimeoutError:
            if not limit.expired():
                raise
            logger.exception("%s did not close within %g s (close_s); it is left as it is", self.name, self.close_s)
            return None


def define(function: Opener, executor: object, local_names: Mapping[str, Any]) -> Lifespan:
    """The lifespan that `function` opens, for `executor`; `local_names` are known where it was written.

    Raises:
        DefinitionError: it is no function of that kind; the message says what to write instead.
    """
    manager = _manager_of(function)
    if manager is None:
        shown = name_of(function) if inspect.isroutine(function) else repr(function)
        raise DefinitionError(
            f"lifespan={shown} is no asynchronous generator function; write {_EXAMPLE}, and give the function itself"
        )
    written = inspect.unwrap(function)
    hints = resolved(written, dict(local_names))
    kind = _yielded(written, hints.get("return"))
    gives = _given(written, hints, executor)

    def open_it(settings: Settings) -> AbstractAsyncContextManager[object]:
        return _checked(manager(*(settings if one is Settings else one for one in gives)), kind, name_of(written))

    return Lifespan(function, kind, open_it)


def lifespan_of(taken: type) -> Lifespan:
    """The life of the one instance of a class: its optional `setup` opens it, and its optional `close` ends it.

    Raises:
        DefinitionError: it cannot be made or opened with nothing.
    """
    _check_takes_nothing(f"{taken.__qualname__}.__init__", list(inspect.signature(taken).parameters.values()))
    setup, close = _hook(taken, "setup"), _hook(taken, "close")
    return Lifespan(taken, taken, lambda _: _living(taken, setup, close))


def replaced(lifespan: Lifespan, other: Callable[..., Any] | None) -> Lifespan:
    """`lifespan` as a test has it: opened by another one, made by a class or by a function; None leaves it."""
    if other is None:
        return lifespan
    if inspect.isclass(other):
        return Lifespan(lifespan.source, lifespan.kind, lifespan_of(other).manager)
    manager = _manager_of(other) or partial(_returned, other)
    return Lifespan(lifespan.source, lifespan.kind, lambda _: manager())


def method_of(taken: type, name: str) -> Callable[..., Any] | None:
    """The method of that name as its class holds it; None if there is none.

    Raises:
        DefinitionError: that is no method.
    """
    found = inspect.getattr_static(taken, name, None)
    if found is None or inspect.isfunction(found):
        return found
    raise DefinitionError(f"{taken.__qualname__}.{name} is a {type(found).__name__}; write it as a method")


async def open_all(
    lifespans: Iterable[Lifespan], around: Surroundings, settings: Settings, stack: AsyncExitStack
) -> None:
    """Open all of them in their order, for `stack` to close in reverse; what they yield is then in `around`.

    Raises:
        StartError: one of them cannot be opened.
    """
    for lifespan in lifespans:
        value = await lifespan.open(stack, settings)
        if lifespan.kind is not None:
            around.state[lifespan.kind] = value


def _manager_of(function: Callable[..., Any]) -> Callable[..., AbstractAsyncContextManager[object]] | None:
    """What opens, where `function` is an asynchronous generator function, or a context manager made of one."""
    if inspect.isasyncgenfunction(function):
        return asynccontextmanager(function)
    return function if inspect.isasyncgenfunction(inspect.unwrap(function)) else None


def _yielded(function: Callable[..., Any], returns: Any) -> Any:
    if get_origin(returns) not in {AsyncIterator, AsyncGenerator}:
        raise DefinitionError(
            f"{name_of(function)} does not say what it yields; annotate it as `-> AsyncIterator[Pools]`, or as "
            "`-> AsyncIterator[None]` if functions get nothing from it"
        )
    kind = get_args(returns)[0]
    if kind is None or kind is type(None):
        return None
    named = get_origin(kind) or kind
    if not inspect.isclass(named) or named.__module__ in _TOO_COMMON:
        raise DefinitionError(
            f"{name_of(function)} yields {getattr(named, '__name__', named)}, by which no function could ask for it; "
            "yield an instance of a class of your own (class Pools: ...)"
        )
    return kind


def _given(function: Callable[..., Any], hints: Mapping[str, Any], executor: object) -> list[object]:
    """What to call it with: the executor, and `Settings` for those that count at the start."""
    gives: list[object] = []
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name, object)
        known = parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD} and inspect.isclass(hint)
        if known and hint is not object and issubclass(Settings, hint):
            gives.append(Settings)
        elif known and isinstance(executor, hint):
            gives.append(executor)
        else:
            raise DefinitionError(
                f"{name_of(function)} takes {parameter.name}; a lifespan takes nothing, or the executor as "
                "`executor: Executor`, or the settings as `settings: Settings`"
            )
    return gives


@asynccontextmanager
async def _checked(manager: AbstractAsyncContextManager[object], kind: Any, name: str) -> AsyncIterator[object]:
    async with manager as value:
        expected = get_origin(kind) or kind
        if kind is not None and not _may_be(value, expected):
            raise StartError(
                f"{name} yielded {named(value)}, but says that it yields {expected.__name__}, so this "
                "executor does not start"
            )
        yield value


@asynccontextmanager
async def _returned(make: Callable[[], Any]) -> AsyncIterator[object]:
    made = make()
    yield await made if inspect.isawaitable(made) else made


def _may_be(value: object, kind: type) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol, or a TypedDict: nobody can ask
        return True


def _raised(error: Exception) -> str:
    return f"raised {type(error).__name__}"


def _hook(taken: type, name: str) -> Callable[[Any], Any] | None:
    hook = method_of(taken, name)
    if hook is not None:
        _check_takes_nothing(name_of(hook), list(inspect.signature(hook).parameters.values())[1:])
    return hook


@asynccontextmanager
async def _living(
    taken: type, setup: Callable[[Any], Any] | None, close: Callable[[Any], Any] | None
) -> AsyncIterator[object]:
    # In the loop, where clients of asynchronous libraries want to be made.
    instance = taken()
    if setup is not None:
        await _called(setup, instance)
    try:
        yield instance
    finally:
        if close is not None:
            await _called(close, instance)


async def _called(hook: Callable[[Any], Any], instance: object) -> None:
    if inspect.iscoroutinefunction(hook):
        await hook(instance)
    else:
        await anyio.to_thread.run_sync(hook, instance, abandon_on_cancel=True)


def _check_takes_nothing(name: str, parameters: list[inspect.Parameter]) -> None:
    never_needed = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in never_needed]
    if needed:
        raise DefinitionError(
            f"{name} takes {', '.join(needed)}, but is called with nothing but `self` when the executor starts; give "
            "a default, or open in `setup` what is needed"
        )
