"""One call's arguments: the caller's inputs, the facts, and the dependencies made for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import anyio

from executor_sdk.authoring.depends import Make
from executor_sdk.authoring.signature import Dependency, Fact, Inputs, ProcessState, Shape, Signature, Source
from executor_sdk.authoring.threads import Threads


def given(signature: Signature, facts: Mapping[type, object], inputs: object) -> tuple[list[object], dict[str, object]]:
    """The positional and the named arguments of a function for which nothing has to be made."""
    positional: list[object] = []
    named: dict[str, object] = {}
    for parameter in signature.parameters:
        source = parameter.source
        value = facts[source.kind] if isinstance(source, Fact) else inputs
        if parameter.by_position:
            positional.append(value)
        else:
            named[parameter.name] = value
    return positional, named


class Injection:
    """Gives values to parameters during one call; what it opened is closed with `stack`, last opened first."""

    def __init__(
        self,
        facts: Mapping[type, object],
        *,
        threads: Threads,
        stack: AsyncExitStack,
        overrides: Mapping[Make, Dependency],
        state: Mapping[Any, object],
    ) -> None:
        self._facts = facts
        self._threads = threads
        self._stack = stack
        self._overrides = overrides
        self._state = state
        self._made: dict[Make, object] = {}

    async def arguments(self, signature: Signature, inputs: object = None) -> tuple[list[Any], dict[str, Any]]:
        """The positional and the named arguments to call a function of this signature with."""
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in signature.parameters:
            value = await self._value(parameter.source, inputs)
            if parameter.by_position:
                positional.append(value)
            else:
                named[parameter.name] = value
        return positional, named

    async def _value(self, source: Source, inputs: object) -> object:
        match source:
            case Inputs():
                return inputs
            case Fact(kind):
                return self._facts[kind]
            case ProcessState(kind):
                return self._state[kind]
            case Dependency(make):
                if make not in self._made:
                    self._made[make] = await self._enter(self._overrides.get(make, source))
                return self._made[make]

    async def _enter(self, dependency: Dependency) -> object:
        make = dependency.make
        positional, named = await self.arguments(dependency.signature)
        match dependency.signature.shape:
            case Shape.COROUTINE:
                return await make(*positional, **named)
            case Shape.FUNCTION:
                return await self._threads.run(make, *positional, **named)
            case Shape.ASYNC_GENERATOR:
                return await self._stack.enter_async_context(asynccontextmanager(make)(*positional, **named))
            case Shape.GENERATOR:
                plain = contextmanager(make)(*positional, **named)
                return await self._stack.enter_async_context(self._in_threads(plain))

    @asynccontextmanager
    async def _in_threads(self, plain: AbstractContextManager[object]) -> AsyncIterator[object]:
        value = await self._threads.run(plain.__enter__)
        try:
            yield value
        except BaseException as error:
            if not await self._leave(plain, error):
                raise
        else:
            await self._leave(plain, None)

    async def _leave(self, plain: AbstractContextManager[object], error: BaseException | None) -> bool:
        # Shielded: what was opened is closed although the call was cancelled.
        swallowed = False
        with anyio.CancelScope(shield=True):
            trace = None if error is None else error.__traceback__
            swallowed = bool(await self._threads.run(plain.__exit__, type(error) if error else None, error, trace))
        return swallowed  # noqa: RET504 - a scope may swallow, as mypy sees it
