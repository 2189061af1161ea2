"""The executor: what an author creates, decorates functions with, and hands to a server; all parts meet here."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from starlette.types import Receive, Scope, Send

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.artifacts.store import ArtifactStore, digest_in
from executor_sdk.authoring.calling import Surroundings
from executor_sdk.authoring.decorators import Decorators
from executor_sdk.authoring.depends import Make
from executor_sdk.authoring.ports import Fetcher
from executor_sdk.authoring.registry import HandlerRegistry
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
from executor_sdk.options.environment import unread
from executor_sdk.settings import OPTIONS, Settings
from executor_sdk.transports.asgi.app import Application

if TYPE_CHECKING:
    from typing import Unpack

    from executor_sdk.options.written import Options

logger = logging.getLogger(__name__)


class Executor(Decorators):
    """An executor of decorated functions, and an ASGI application: `uvicorn app:executor` serves it.

    executor = Executor(provider_family="acme", model_id="drivers-1")

    @executor.execute("swarm", timeout_s=100)
    async def drivers(ask: Ask, task: Task) -> Finding: ...
    """

    def __init__(
        self, provider_family: str, model_id: str, *, settings: Settings | None = None, **options: Unpack[Options]
    ) -> None:
        """Name the executor; `options` are single settings, as `timeout_s=60`. A server's environment is over them.

        Raises:
            DefinitionError: a blank name, an option that does not exist, or a value that does not fit its option.
        """
        self.settings: Final = (settings or Settings()).changed(**options)
        self.registry: Final = HandlerRegistry(provider_family, model_id)
        super().__init__(self.registry)
        self._app: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application, also mounted inside another one."""
        if self._app is None or scope["type"] == "lifespan":
            # A server that starts, and one that starts again, begins with a fresh ledger, slots and threads.
            try:
                self._app = self.application_to_serve()
            except DefinitionError as error:
                if scope["type"] != "lifespan":
                    raise
                # What is raised here instead would tell a server that it need not wait for any start.
                await receive()
                await send({"type": "lifespan.startup.failed", "message": error.message})
                return
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Start and drain with an application around this executor: `Starlette(lifespan=executor.lifespan)`.

        Raises:
            DefinitionError: the environment has a value that does not fit its option.
            LedgerError: the ledger cannot be opened, so nothing may be served.
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
    ) -> Application:
        """A fresh application with a ledger, slots and threads of its own, closed by its lifespan; no environment
        counts.

        Args:
            settings: in place of the executor's own.
            artifacts: where artifacts are kept, in place of what the settings say.
            fetcher: what `task.fetch` brings, in place of the guarded egress.
            overrides: dependencies to put in place of others, for tests.
            observer: is told of every progress; what it returns cancels the work, for that reason.
            ledger: where executions are recorded, in place of what the settings say.
        """
        settings = settings or self.settings
        artifacts = artifacts or _artifacts(settings)
        egress = _egress(settings, artifacts)
        dispatcher = Dispatcher(
            self.registry,
            _executions(settings, ledger or self._ledger(settings), observer),
            settings,
            _surroundings(settings, overrides or {}),
            artifacts=artifacts,
            fetcher=fetcher or egress,
        )
        return Application(dispatcher, settings, stopped=egress.aclose)

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


def _surroundings(settings: Settings, overrides: Mapping[Make, Make]) -> Surroundings:
    reader = Reader((Task, Candidate), {})
    replaced = {make: reader.dependency(other) for make, other in overrides.items()}
    return Surroundings(Threads(settings.threads), replaced)


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


def _executions(settings: Settings, ledger: Ledger, observer: Observer | None) -> Executions:
    bounds = WorkBounds(settings.max_concurrency, settings.max_queued, settings.max_waiting, settings.max_waiting_bytes)
    keep = Keep(
        settings.keep_count,
        settings.keep_bytes,
        settings.keep_ms,
        settings.keep_least_ms,
        settings.keep_unheard_ms,
        settings.keep_full_bytes,
    )
    return Executions(ledger, bounds=bounds, keep=keep, drain_s=settings.drain_s, observer=observer)
