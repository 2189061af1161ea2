"""Calling an author's function: in the loop or in a thread, within its time, its exceptions told apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import anyio

from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.depends import Make
from executor_sdk.authoring.injection import Injection
from executor_sdk.authoring.signature import Dependency, Signature
from executor_sdk.authoring.threads import Threads
from executor_sdk.errors import (
    ExecutorError,
    FetchError,
    HandlerCrashedError,
    RequestError,
    TaskCancelled,
    TaskError,
    TaskTimeoutError,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What one application lends to the functions of its author."""

    threads: Threads
    #: Dependencies that a test puts in place of others.
    overrides: Mapping[Make, Dependency] = field(default_factory=dict)


async def call(
    function: Callable[..., Any],
    signature: Signature,
    around: Surroundings,
    *,
    facts: Mapping[type, object],
    inputs: object = None,
    timeout_s: float,
) -> Any:
    """What `function` returns.

    Raises:
        TaskTimeoutError: it did not return within `timeout_s`.
        HandlerCrashedError: it raised what it should not; logged here, once, with its traceback.
        TaskCancelled: it stopped because nobody wants the work.
    """

    async def run() -> Any:
        async with AsyncExitStack() as stack:
            injection = Injection(facts, threads=around.threads, stack=stack, overrides=around.overrides)
            positional, named = await injection.arguments(signature, inputs)
            if signature.shape.is_asynchronous:
                return await function(*positional, **named)
            return await around.threads.run(function, *positional, **named)

    # A scope, not `except TimeoutError`: the author's own TimeoutError is a crash, not a budget overrun.
    with anyio.move_on_after(timeout_s) as scope:
        return await _told_apart(function, scope, run)
    raise TaskTimeoutError(f"{name_of(function)} did not finish within {timeout_s:g} s")


async def _told_apart(function: Callable[..., Any], scope: anyio.CancelScope, run: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await run()
    except asyncio.CancelledError as error:
        if _cancelled_from_outside():
            raise
        raise _crash(function, error) from error
    except (Exception, SystemExit, BaseExceptionGroup) as error:
        meant = _meant(error)
        if meant is not None:
            raise meant from None
        if scope.cancel_called:
            # It was stopped at its deadline and fell over while it cleaned up.
            raise TaskTimeoutError(f"{name_of(function)} did not finish in time") from error
        raise _crash(function, error) from error


def _meant(error: BaseException) -> BaseException | None:
    """The error that an author raises on purpose, also from inside a task group of theirs; None for a crash."""
    if isinstance(error, BaseExceptionGroup):
        leaves = _leaves(error)
        if any(isinstance(leaf, TaskCancelled) for leaf in leaves):
            return TaskCancelled()
        return _meant(leaves[0]) if len(leaves) == 1 else None
    if isinstance(error, HandlerCrashedError | TaskTimeoutError):
        return None
    return error if isinstance(error, RequestError | TaskError | FetchError | TaskCancelled) else None


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _cancelled_from_outside() -> bool:
    """Whether somebody asked this task to stop; otherwise the author awaited something that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _crash(function: Callable[..., Any], error: BaseException) -> ExecutorError:
    reference = uuid4().hex[:12]
    logger.error("%s raised %s (reference %s)", name_of(function), type(error).__name__, reference, exc_info=error)
    # The type goes out, the text stays in the log: it may quote what the author would not send to strangers.
    sentence = f"{name_of(function)} raised {type(error).__name__}; the log has it under reference {reference}"
    return HandlerCrashedError(sentence, details={"exception": type(error).__name__, "reference": reference})
