"""The decorators of an executor: they read a function, register it and give it back as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from executor_sdk.authoring import handler as handlers
from executor_sdk.authoring import health, verifier
from executor_sdk.authoring.annotations import callers_locals
from executor_sdk.authoring.handler import Limits
from executor_sdk.authoring.registry import HandlerRegistry
from executor_sdk.authoring.signature import Reader
from executor_sdk.authoring.task import Task
from executor_sdk.authoring.verdict import Candidate
from executor_sdk.errors import DefinitionError
from executor_sdk.options.option import check_names

F = TypeVar("F", bound=Callable[..., Any])

#: What a bare `@executor.execute` takes: the kernel's own default.
DEFAULT_TASK_TYPE = "swarm"
DEFAULT_PROFILES = ("default",)

#: What stands beside the task type.
OPTIONS = ("profiles", *Limits.__struct_fields__, "needs_answer")


class Decorators:
    """What an author writes above functions. Each name is an endpoint's."""

    def __init__(self, registry: HandlerRegistry) -> None:
        self._registry = registry

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
        needs_answer: bool = True,
    ) -> Callable[[F], F]: ...

    def execute(
        self,
        task_type: str | Callable[..., Any] = DEFAULT_TASK_TYPE,
        /,
        *,
        profiles: Sequence[str] = DEFAULT_PROFILES,
        timeout_s: float | None = None,
        max_concurrency: int | None = None,
        adopt: bool | None = None,
        linger_s: float | None = None,
        needs_answer: bool = True,
        **unknown: Any,
    ) -> Any:
        """Make a function the handler of a task type. The function stays as it is.

        Args:
            task_type: what kernels ask for; without parentheses it is "swarm".
            profiles: the ways of doing it that this function knows.
            timeout_s: seconds it may take; longer than a kernel's 30 is fine, whoever asks again joins the work.
            max_concurrency: how many such tasks may run at once.
            adopt: whether a later attempt at a step takes over its work, running or done (by default it does).
            linger_s: seconds that the work goes on when nobody asks for it any more.
            needs_answer: False for a task type that no run uses: its output may then lack the string `answer`.

        Raises:
            DefinitionError: an option does not exist or its value does not fit, or the function cannot work as it is;
                the message says what to write instead.
        """
        try:
            check_names(unknown, OPTIONS)
            limits = Limits(timeout_s=timeout_s, max_concurrency=max_concurrency, adopt=adopt, linger_s=linger_s)
        except DefinitionError as error:
            above = "" if callable(task_type) else f"({task_type!r})"
            raise DefinitionError(f"@executor.execute{above}: {error.message}") from None

        def decorate(function: F) -> F:
            _check_callable(function, "execute")
            handler = handlers.define(
                function,
                Reader((Task,), callers_locals()),
                task_type=DEFAULT_TASK_TYPE if callable(task_type) else task_type,
                profiles=profiles,
                limits=limits,
                needs_answer=needs_answer,
            )
            self._registry.add(handler)
            return function

        return decorate(task_type) if callable(task_type) else decorate

    @overload
    def verify(self, function: F, /) -> F: ...

    @overload
    def verify(self, /) -> Callable[[F], F]: ...

    def verify(self, function: F | None = None, /) -> F | Callable[[F], F]:
        """Make a function the verifier: it runs after the kernel's policy passed, and may only lower the verdict.

        Raises:
            DefinitionError: the function cannot work as it is, or there is a verifier already.
        """

        def decorate(function: F) -> F:
            _check_callable(function, "verify")
            reader = Reader((Candidate,), callers_locals())
            self._registry.set_verifier(verifier.define(function, reader))
            return function

        return decorate if function is None else decorate(function)

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
            self._registry.set_health_check(health.define(function, Reader((), callers_locals())))
            return function

        return decorate if function is None else decorate(function)


def _check_callable(function: object, decorator: str) -> None:
    if isinstance(function, type):
        raise DefinitionError(
            f"@executor.{decorator} stands above the class {function.__name__}; give it an object instead, as "
            f"executor.{decorator}(...)({function.__name__}()), or put it above a function that depends on one"
        )
    if isinstance(function, staticmethod | classmethod) or not callable(function):
        kind = type(function).__name__
        raise DefinitionError(f"@executor.{decorator} stands above a {kind}; put it above a function")
