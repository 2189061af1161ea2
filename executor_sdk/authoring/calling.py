"""Calling an author's function: in the loop or in a thread, within its time, its exceptions told apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any
from uuid import uuid4

from msgspec import Struct

from executor_sdk.authoring.again import Again, may_pass
from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.awaiting import AWAIT, unawaited_behind
from executor_sdk.authoring.deadline import Deadline
from executor_sdk.authoring.depends import Make
from executor_sdk.authoring.injection import Injection, given
from executor_sdk.authoring.signature import Dependency, Signature
from executor_sdk.authoring.threads import Threads
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import (
    ClientError,
    ExecutorError,
    FetchError,
    HandlerCrashedError,
    RequestError,
    TaskCancelled,
    TaskError,
    TaskTimeoutError,
)
from executor_sdk.misuse import MisuseError

logger = logging.getLogger(__name__)


class Surroundings(Struct, frozen=True):
    """What one application lends to the functions of its author, for each call."""

    threads: Threads
    #: Dependencies that a test puts in place of others.
    overrides: Mapping[Make, Dependency] = {}
    #: What lifespans have yielded, by type; filled when the application starts.
    state: dict[Any, object] = {}


async def call(
    function: Callable[..., Any],
    signature: Signature,
    around: Surroundings,
    *,
    facts: Mapping[type, object],
    inputs: object = None,
    alarms: Alarms,
    again: Again | None = None,
    forget: Callable[[], None] = lambda: None,
) -> Any:
    """What `function` returns; called `again` after errors that may pass, once what it gave is forgotten.

    Raises:
        TaskTimeoutError: it did not return before the alarm rang.
        HandlerCrashedError: it raised what it should not; logged here, once, with its traceback.
        TaskCancelled: it stopped because nobody wants the work.
    """
    deadline = Deadline(alarms)
    try:
        if again is None:
            return await _once(function, signature, around, facts, inputs)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + alarms.after_s
        for failed in count(1):
            try:
                return await _once(function, signature, around, facts, inputs)
            except Exception as error:
                raised = _deciding(error)
                pause_s = again.pause_s(raised, failed=failed, left_s=until_s - loop.time())
                if pause_s is None:
                    raise
                told = "%s raised %s and is called again in %.1f s, for the %d. of %d times"
                logger.info(told, name_of(function), type(raised).__name__, pause_s, failed, again.retries)
            forget()
            await asyncio.sleep(pause_s)
    except asyncio.CancelledError as error:
        if deadline.stopped_from_outside:
            raise
        # Otherwise the author awaited something that was cancelled.
        raise (_overrun(function, alarms) if deadline.passed else _crash(function, error)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Not only Exception: what nobody catches would end the task that does the work, and leave its callers waiting.
        if (meant := _meant(error)) is not None:
            raise meant from None
        # After the deadline it was stopped, and fell over while it cleaned up.
        raise (_overrun(function, alarms) if deadline.passed else _crash(function, error)) from error
    finally:
        deadline.lift()


def _once(
    function: Callable[..., Any],
    signature: Signature,
    around: Surroundings,
    facts: Mapping[type, object],
    inputs: object,
) -> Awaitable[Any]:
    if signature.needs_making:
        return _with_dependencies(function, signature, around, facts, inputs)
    positional, named = given(signature, facts, inputs)
    return _invoked(function, signature, around, positional, named)


async def _with_dependencies(
    function: Callable[..., Any],
    signature: Signature,
    around: Surroundings,
    facts: Mapping[type, object],
    inputs: object,
) -> Any:
    async with AsyncExitStack() as stack:
        injection = Injection(
            facts, threads=around.threads, stack=stack, overrides=around.overrides, state=around.state
        )
        positional, named = await injection.arguments(signature, inputs)
        return await _invoked(function, signature, around, positional, named)


def _invoked(
    function: Callable[..., Any],
    signature: Signature,
    around: Surroundings,
    positional: Sequence[Any],
    named: Mapping[str, Any],
) -> Awaitable[Any]:
    if signature.shape.is_asynchronous:
        awaitable: Awaitable[Any] = function(*positional, **named)
        return awaitable
    return around.threads.run(function, *positional, **named)


def _overrun(function: Callable[..., Any], alarms: Alarms) -> ExecutorError:
    return TaskTimeoutError(f"{name_of(function)} did not finish within {alarms.after_s:g} s")


def _meant(error: BaseException) -> BaseException | None:
    """The error that an author raises on purpose, also from inside a task group of theirs; None for a crash."""
    if isinstance(error, BaseExceptionGroup):
        leaves = _leaves(error)
        if any(isinstance(leaf, TaskCancelled) for leaf in leaves):
            return TaskCancelled()
        meant = [_meant(leaf) for leaf in leaves]
        # Others that were asked at once may fail at once; what is final stays final.
        final = (one for one in meant if not getattr(one, "retryable", True))
        return None if None in meant else next(final, meant[0])
    if isinstance(error, HandlerCrashedError | TaskTimeoutError):
        return None
    if isinstance(error, ClientError):
        return error.passed_on()
    return error if isinstance(error, RequestError | TaskError | FetchError | TaskCancelled) else None


def _deciding(error: BaseException) -> BaseException:
    """The error that says whether to call again: of a task group that failed, first of all one that will not pass."""
    leaves = _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return next((leaf for leaf in leaves if not may_pass(leaf)), leaves[0])


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _crash(function: Callable[..., Any], error: BaseException) -> ExecutorError:
    reference = uuid4().hex[:12]
    raised = "%s raised %s (reference %s)"
    named = (name_of(function), type(error).__name__, reference)
    logger.error(raised, *named, exc_info=error, extra={"reference": reference})
    details = {"exception": type(error).__name__, "reference": reference}
    if (told := _mistake(error)) is not None:
        sentence = f"{name_of(function)}: {told}; the log has more under reference {reference}"
    else:
        # The type goes out, the text stays in the log: it may quote what the author would not send to strangers.
        sentence = f"{name_of(function)} raised {type(error).__name__}; the log has it under reference {reference}"
    return HandlerCrashedError(sentence, details=details)


def _mistake(error: BaseException) -> str | None:
    """What to write instead, where the kit knows; its own sentences quote nothing that is not the author's."""
    if isinstance(error, MisuseError):
        return str(error)
    return f"a coroutine stands where its result was meant; {AWAIT}" if unawaited_behind(error) else None
