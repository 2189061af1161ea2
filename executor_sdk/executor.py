"""The executor: what an author creates, decorates functions with, and hands to a server; all parts meet here."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.types import Receive, Scope, Send

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.artifacts.store import ArtifactStore, digest_in
from executor_sdk.authoring import classes
from executor_sdk.authoring import lifespan as lifespans
from executor_sdk.authoring.agent_event import AgentEvent
from executor_sdk.authoring.annotations import callers_locals, name_of
from executor_sdk.authoring.calling import Surroundings
from executor_sdk.authoring.decorators import Decorators
from executor_sdk.authoring.depends import Make
from executor_sdk.authoring.foreign import sentence_for
from executor_sdk.authoring.lifespan import Opener
from executor_sdk.authoring.ports import Fetcher
from executor_sdk.authoring.registry import HandlerRegistry
from executor_sdk.authoring.roles import Role, register
from executor_sdk.authoring.signature import Reader
from executor_sdk.authoring.task import Task
from executor_sdk.authoring.threads import Threads
from executor_sdk.authoring.verdict import Candidate
from executor_sdk.client.egress import Egress, ReadArtifact
from executor_sdk.dispatcher import Dispatcher
from executor_sdk.errors import DefinitionError
from executor_sdk.executions.alone import Alone
from executor_sdk.executions.executions import Executions
from executor_sdk.executions.ledger import Ledger
from executor_sdk.executions.live import Observer
from executor_sdk.executions.memory import MemoryLedger
from executor_sdk.executions.plan import WorkBounds
from executor_sdk.executions.record import Keep
from executor_sdk.misuse import called_as, named
from executor_sdk.options.environment import unread
from executor_sdk.settings import OPTIONS, Settings
from executor_sdk.transports.asgi.app import Application
from executor_sdk.transports.asgi.late import LateStart

Included = TypeVar("Included", bound="Executor | type")

if TYPE_CHECKING:
    from typing import Unpack

    from executor_sdk.options.written import Options

logger = logging.getLogger(__name__)


class Executor(Decorators):
    """An executor of decorated functions, and an ASGI application.

        executor = Executor(provider_family="acme", model_id="drivers-1")

        @executor.execute("swarm", timeout_s=100)
        async def drivers(ask: Ask, task: Task) -> Finding: ...

    `uvicorn app:executor` serves it.
    """

    @called_as("Executor('acme', 'drivers-1', timeout_s=60)")
    def __init__(
        self,
        provider_family: str,
        model_id: str,
        *,
        settings: Settings | None = None,
        lifespan: Opener | Sequence[Opener] = (),
        **options: Unpack[Options],
    ) -> None:
        """Name the executor; `options` are single settings, as `timeout_s=60`. A server's environment is over them.

        Args:
            lifespan: one asynchronous context manager function, or several: opened in their order before the first
                request, closed in reverse after the last work (only a thread that did not end in time may outlive
                them). What one yields is a state of the process, and every function of this executor gets it that
                asks for its type, as `pools: Pools`; likewise `settings: Settings`, which a lifespan may take, too.

        Raises:
            DefinitionError: a blank name, an option that does not exist, a value that does not fit its option, or a
                lifespan that cannot work as it is.
        """
        if not isinstance(settings, Settings | None):
            raise DefinitionError(
                f"settings is {named(settings)}; write timeout_s=60, or settings=Settings(timeout_s=60)"
            )
        self.settings: Final = (settings or Settings()).changed(**options)
        self.registry: Final = HandlerRegistry(provider_family, model_id)
        # Text is a sequence, too, and a mistake as a whole.
        given: Any = lifespan
        openers: Any = [given] if isinstance(given, str) or not isinstance(given, Sequence) else given
        for opener in openers:
            self.registry.add_lifespan(lifespans.define(opener, self, callers_locals()))
        self._app: Application | None = None
        self._late: Final = LateStart(f"{provider_family}/{model_id}", self.application_to_serve)

    if not TYPE_CHECKING:  # a type checker finds such a word by itself

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(sentence_for(name), name=name, obj=self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application, also mounted inside another one."""
        if scope["type"] == "lifespan":
            # A server that starts, and one that starts again, begins with a fresh ledger, slots and threads.
            try:
                self._app = self.application_to_serve()
            except DefinitionError as error:
                # What is raised here instead would tell a server that it need not wait for any start.
                await receive()
                await send({"type": "lifespan.startup.failed", "message": error.message})
                return
        await (self._app or self._late.app or self._late)(scope, receive, send)

    def include(self, other: Included) -> Included:
        """Take over what another executor can do by now, or a class: its functions, its lifespans, its health check.

        A class is one part of the state of the process: an instance is made when an application starts, its `setup`
        opens it, its `close` ends it after the last work, its `health` is the health check, and its methods do what
        `execute`, `verify` and `agent_event` of `executor_sdk` say above them. `close` is called where `setup` has
        succeeded. Names and settings stay those of this executor.

            @executor.include
            class Analyst:
                async def setup(self) -> None: ...

                @execute("swarm")
                async def find(self, ask: Ask, task: Task) -> Finding: ...

        Raises:
            DefinitionError: both do the same, or the class cannot work as it is; then nothing is taken over.
        """
        match other:
            case Executor() if other is not self:
                self.registry.include(other.registry)
            case type():
                self.registry.include(classes.members_of(other, callers_locals(), self.registry))
            case _:
                raise DefinitionError(
                    f"executor.include takes another executor or a class, and this is {_described(other, self)}"
                )
        return other

    def _take(self, function: Callable[..., Any], role: Role) -> None:
        if classes.is_method(function):
            raise DefinitionError(
                f"{name_of(function)} is a method, and this executor has no instance to call it on; write "
                "@executor.include above the class, `from executor_sdk import execute, verify`, and @execute(...) or "
                "@verify above the method"
            )
        register(self.registry, function, role, callers_locals(), states=self.registry.states)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Start and drain with an application around this executor: `Starlette(lifespan=executor.lifespan)`.

        With it, a server that stops lets all work end, as if it served the executor alone. Without it, a mounted
        executor starts with its first request, and nobody tells it of the stop: callers that the server waits for are
        answered, work that nobody waits for is lost, and the state may stay open (uvicorn ends the process at SIGTERM).
        An application with a lifespan of its own writes `async with executor.lifespan(): yield` in there.

        Raises:
            DefinitionError: the environment has a value that does not fit its option.
            StartError, LedgerError: the state or the ledger cannot be opened, so nothing may be served.
        """
        served = self._app = self.application_to_serve()
        async with served.lifespan():
            yield

    def application_to_serve(self, *, ledger: Ledger | None = None) -> Application:
        """A fresh application for a server: options that the environment names are over the executor's own.

        Args:
            ledger: where executions are recorded if no option names a file.

        Raises:
            DefinitionError: the environment has a value that does not fit its option.
        """
        if (told := unread(os.environ, OPTIONS)) is not None:
            logger.warning(told)
        settings = Settings.from_environment(os.environ, otherwise=self.settings)
        return self.application(settings, ledger=None if settings.ledger else ledger)

    def application(
        self,
        settings: Settings | None = None,
        *,
        artifacts: ArtifactStore | None = None,
        fetcher: Fetcher | None = None,
        overrides: Mapping[Make, Make] | None = None,
        observer: Observer | None = None,
        ledger: Ledger | None = None,
        over_decorators: Collection[str] = (),
        clock: Callable[[], int] | None = None,
    ) -> Application:
        """A fresh application with a ledger, slots and threads of its own, closed by its lifespan; no environment
        counts.

        Args:
            settings: in place of the executor's own.
            artifacts: where artifacts are kept, in place of what the settings say.
            fetcher: what `task.fetch` brings, in place of the guarded egress.
            overrides: dependencies, lifespans and classes to put in place of others, for tests.
            observer: is told of every progress and partial output; what it returns cancels the work, for that reason.
            ledger: where executions are recorded, in place of what the settings say.
            over_decorators: names of settings that hold for each handler, whatever its decorator says.
            clock: epoch milliseconds, in place of the real ones.
        """
        settings = settings or self.settings
        artifacts = artifacts or _artifacts(settings)
        egress = _egress(settings, artifacts)
        around = self._surroundings(settings, overrides or {})
        dispatcher = Dispatcher(
            self.registry.left_to(over_decorators),
            _executions(settings, ledger or self._ledger(settings), observer, clock),
            settings,
            around,
            artifacts=artifacts,
            fetcher=fetcher or egress,
            clock=clock,
        )
        return Application(dispatcher, settings, state=self._opened(around, overrides or {}, settings, egress))

    def _surroundings(self, settings: Settings, overrides: Mapping[Make, Make]) -> Surroundings:
        reader = Reader((Task, Candidate, AgentEvent), {}, self.registry.states)
        parts = {part.source for part in self.registry.lifespans}
        replaced = {make: reader.dependency(other) for make, other in overrides.items() if make not in parts}
        return Surroundings(Threads(settings.threads), replaced, {Settings: settings})

    @asynccontextmanager
    async def _opened(
        self, around: Surroundings, overrides: Mapping[Make, Make], settings: Settings, egress: Egress
    ) -> AsyncIterator[None]:
        """The time in which functions have their state, and may fetch."""
        parts = [lifespans.replaced(part, overrides.get(part.source)) for part in self.registry.lifespans]
        async with AsyncExitStack() as stack:
            stack.push_async_callback(egress.aclose)
            await lifespans.open_all(parts, around, settings, stack)
            yield

    def _ledger(self, settings: Settings) -> Ledger:
        if settings.ledger is not None:
            # Loaded by those who have one only: it is a twelfth of the start.
            from executor_sdk.executions.sqlite import SqliteLedger

            return SqliteLedger(settings.ledger)
        return MemoryLedger(alone=Alone(f"{self.registry.provider_family}/{self.registry.model_id}"))


def reads(artifacts: ArtifactStore) -> ReadArtifact:
    """How `artifact://` URIs are read from a store."""

    def read(uri: str) -> bytes | None:
        digest = digest_in(uri)
        return artifacts.read(digest) if digest is not None and artifacts.has(digest) else None

    return read


def _described(other: object, executor: Executor) -> str:
    if other is executor:
        return "itself"
    if inspect.isroutine(other):
        return f"a function; write @executor.execute('task_type') above {name_of(other)}"
    if type(other).__module__ == "builtins":
        return named(other)
    return f"an instance; write executor.include({type(other).__name__})"


def _artifacts(settings: Settings) -> ArtifactStore:
    if settings.artifacts_dir is not None:
        return FolderArtifacts(settings.artifacts_dir)
    return MemoryArtifacts(max_bytes=settings.artifacts_bytes)


def _egress(settings: Settings, artifacts: ArtifactStore) -> Egress:
    return Egress(
        allow_hosts=settings.allow_hosts,
        file_roots=settings.file_roots,
        timeout_s=settings.fetch_timeout_s,
        max_bytes=settings.fetch_max_bytes,
        read_artifact=reads(artifacts),
    )


def _executions(
    settings: Settings, ledger: Ledger, observer: Observer | None, clock: Callable[[], int] | None
) -> Executions:
    bounds = WorkBounds(settings.max_concurrency, settings.max_queued, settings.max_waiting, settings.max_waiting_bytes)
    keep = Keep(
        settings.keep_count,
        settings.keep_bytes,
        settings.keep_ms,
        settings.keep_least_ms,
        settings.keep_unheard_ms,
        settings.keep_full_bytes,
    )
    return Executions(ledger, bounds=bounds, keep=keep, drain_s=settings.drain_s, clock=clock, observer=observer)
