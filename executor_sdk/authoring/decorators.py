"""The decorators of authors: each reads what stands beside it, and gives the function back as it was."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from executor_sdk.authoring.handler import Limits
from executor_sdk.authoring.roles import Checks, Executes, Handles, Role, Verifies
from executor_sdk.errors import DefinitionError
from executor_sdk.misuse import named
from executor_sdk.options.option import check_names

F = TypeVar("F", bound=Callable[..., Any])

#: What a bare `@executor.execute` takes: the kernel's own default.
DEFAULT_TASK_TYPE = "swarm"
DEFAULT_PROFILES = ("default",)

#: What stands beside the task type.
OPTIONS = ("profiles", *Limits.__struct_fields__, "needs_answer")
EVENT_OPTIONS = ("timeout_s", "max_concurrency")


class Decorators(ABC):
    """What an author writes above functions. Each name is an endpoint's."""

    @abstractmethod
    def _take(self, function: Callable[..., Any], role: Role) -> None:
        """Let `function` have this role."""

    @overload
    def execute(self, task_type: F, /) -> F: ...

    @overload
    def execute(
        self,
        task_type: str = DEFAULT_TASK_TYPE,
        /,
        *,
        profiles: Sequence[str] = DEFAULT_PROFILES,
        timeout_s: float | None = None,
        max_concurrency: int | None = None,
        adopt: bool | None = None,
        linger_s: float | None = None,
        retries: int = 0,
        backoff_s: float = 1.0,
        needs_answer: bool = True,
    ) -> Callable[[F], F]: ...

    def execute(
        self,
        task_type: str | Callable[..., Any] = DEFAULT_TASK_TYPE,
        /,
        *more: Any,
        profiles: Sequence[str] = DEFAULT_PROFILES,
        timeout_s: float | None = None,
        max_concurrency: int | None = None,
        adopt: bool | None = None,
        linger_s: float | None = None,
        retries: int = 0,
        backoff_s: float = 1.0,
        needs_answer: bool = True,
        **unknown: Any,
    ) -> Any:
        """Make a function the handler of a task type. The function stays as it is.

        Args:
            task_type: what kernels ask for; without parentheses it is "swarm".
            profiles: the ways of doing it that this function knows.
            timeout_s: seconds it may take; longer than a kernel's 30 is fine: a copy of the call joins the work.
            max_concurrency: how many such tasks may run at once.
            adopt: whether a later attempt at a step takes over its work, running or done (by default it does).
            linger_s: seconds that the work goes on when nobody asks for it any more.
            retries: how often the function is called again within `timeout_s` after an error that may pass:
                `TryLater`, a broken connection, a fetch or another executor that may be asked again. Callers wait
                meanwhile, or join again. After the last time the kernel decides: it reads no `Retry-After`, and by
                default it makes two attempts in all.
            backoff_s: seconds before the first such call. Each further pause is twice as long, up to a minute, and each
                up to half shorter by chance. A `TryLater(after_s=...)` says itself how long.
            needs_answer: False for a task type that no run uses: its output may then lack the string `answer`.

        Raises:
            DefinitionError: an option does not exist or its value does not fit, or the function cannot work as it is;
                the message says what to write instead.
        """
        if more or "task_type" in unknown:
            raise DefinitionError(
                "@executor.execute takes the task type alone without a name, and all else by name: write "
                "@executor.execute('swarm', profiles=('fast',))"
            )
        try:
            check_names(unknown, OPTIONS)
            limits = Limits(
                timeout_s=timeout_s,
                max_concurrency=max_concurrency,
                adopt=adopt,
                linger_s=linger_s,
                retries=retries,
                backoff_s=backoff_s,
            )
        except DefinitionError as error:
            above = "" if callable(task_type) else f"({task_type!r})"
            raise DefinitionError(f"@executor.execute{above}: {error.message}") from None
        named = DEFAULT_TASK_TYPE if callable(task_type) else task_type
        role = Executes(named, profiles, limits, needs_answer)

        def decorate(function: F) -> F:
            _check_callable(function, "execute")
            self._take(function, role)
            return function

        return decorate(task_type) if callable(task_type) else decorate

    @overload
    def verify(self, function: F, /) -> F: ...

    @overload
    def verify(self, /, *task_types: str) -> Callable[[F], F]: ...

    def verify(self, /, *task_types: Any, **unknown: Any) -> Any:
        """Make a function a verifier: it runs after the kernel's policy passed, and may only lower the verdict.

            @executor.verify("forecast", "review")
            async def checks(candidate: Candidate[Forecast]) -> Verdict: ...

            @executor.verify  # all that no other verifies
            async def agrees(candidate: Candidate) -> Verdict: ...

        `/verify` does not name a task type. The ledger knows it of what was executed here, by this process or by one
        with the same ledger, for the same caller. Of what was executed elsewhere, the one verifier judges whose
        `Candidate[Model]` takes the output, or else the one that names no model; where that leaves several, or none,
        the verdict is inconclusive, with EVIDENCE_UNREACHABLE and a sentence that names the verifiers.

        Args:
            task_types: whose candidates the function judges, also such as are executed elsewhere only; none: all that
                no other verifier judges.

        Raises:
            DefinitionError: the function cannot work as it is, another one verifies the same, or the two mean different
                things by one reason code.
        """
        if unknown:
            raise DefinitionError(
                f"@executor.verify has no option {next(iter(unknown))!r}; write the task types only, as "
                "@executor.verify('swarm', 'forecast')"
            )
        is_bare = _is_bare(task_types)
        role = Verifies(() if is_bare else task_types)

        def decorate(function: F) -> F:
            _check_callable(function, "verify")
            self._take(function, role)
            return function

        return decorate(task_types[0]) if is_bare else decorate

    @overload
    def agent_event(self, function: F, /) -> F: ...

    @overload
    def agent_event(
        self, /, *event_types: str, timeout_s: float | None = None, max_concurrency: int | None = None
    ) -> Callable[[F], F]: ...

    def agent_event(
        self,
        /,
        *event_types: Any,
        timeout_s: float | None = None,
        max_concurrency: int | None = None,
        **unknown: Any,
    ) -> Any:
        """Make a function the one that reacts to types of agent events, which a kernel posts to `/agent-events`.

            @executor.agent_event("topic_message_requires_reply", timeout_s=50)
            async def answers(event: AgentEvent[TopicMessage]) -> Decision:
                return Decision.direct("reply", {"content": await ask_model(event.payload.content)})

            @executor.agent_event  # all events that no other handles
            async def notes(event: AgentEvent) -> None: ...

        A decision, or None where there is nothing to decide, acknowledges the event; so does none after it:
        deliveries of one `dedupe_key` (or else `event_id`) are one work, and a copy that comes while the ledger
        remembers it gets the same answer. `Decision.failed` and `Refuse` end the event as failed. `TryLater`, a crash
        and a deadline that passes are answered 5xx: the kernel, which waits 60 s and sends three times, sends the event
        again, and the function is called once more.

        Args:
            event_types: what the function is told, as "dm_received"; none: all that no other function handles.
            timeout_s: seconds it may take.
            max_concurrency: how many such events may be worked on at once.

        Raises:
            DefinitionError: an option or an event type does not exist, the function cannot work as it is, or another
                one handles the same.
        """
        is_bare = _is_bare(event_types)
        try:
            check_names(unknown, EVENT_OPTIONS)
            limits = Limits(timeout_s=timeout_s, max_concurrency=max_concurrency)
        except DefinitionError as error:
            raise DefinitionError(f"@executor.agent_event: {error.message}") from None
        role = Handles(() if is_bare else event_types, limits)

        def decorate(function: F) -> F:
            _check_callable(function, "agent_event")
            self._take(function, role)
            return function

        return decorate(event_types[0]) if is_bare else decorate

    @overload
    def health(self, function: F, /) -> F: ...

    @overload
    def health(self, /) -> Callable[[F], F]: ...

    def health(self, function: F | None = None, /) -> F | Callable[[F], F]:
        """Make a function the health check: False, or an exception, answers `/health` with 503.

        Raises:
            DefinitionError: the function cannot work as it is, or there is a health check already.
        """

        def decorate(function: F) -> F:
            _check_callable(function, "health")
            self._take(function, Checks())
            return function

        return decorate if function is None else decorate(function)


def _is_bare(given: Sequence[Any]) -> bool:
    """Whether a decorator stands without parentheses, so that it is given the function itself."""
    return len(given) == 1 and not isinstance(given[0], str | Sequence)


def _check_callable(function: object, decorator: str) -> None:
    if isinstance(function, type):
        raise DefinitionError(
            f"@executor.{decorator} stands above the class {function.__name__}; put @executor.include above the class, "
            f"and above its methods what they do, as `from executor_sdk import execute, verify` has it"
        )
    if isinstance(function, staticmethod | classmethod) or not callable(function):
        raise DefinitionError(f"@executor.{decorator} stands above {named(function)}; put it above a function")
