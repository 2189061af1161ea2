"""The application that a command names: loaded, set up from the environment, and served where a command asks it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from executor_sdk.asking.loading import AppError, load_app
from executor_sdk.cli.command import CommandError, Exit
from executor_sdk.cli.developing.breakage import place_of
from executor_sdk.client.base_url import UnusableUrlError, split
from executor_sdk.errors import DefinitionError
from executor_sdk.executions.ledger import Ledger
from executor_sdk.executions.memory import MemoryLedger
from executor_sdk.executor import Executor
from executor_sdk.options.environment import APP_VARIABLE, LOG_VARIABLE
from executor_sdk.settings import Settings
from executor_sdk.testing.server import NotStartedError, serve


@contextmanager
def reached(address: str) -> Iterator[str]:
    """The base URL of what `address` names: a URL as it is, an application served on loopback meanwhile.

    Raises:
        CommandError: the application cannot be loaded or started, or the URL is none.
    """
    if "://" in address:
        check_url(address)
        if "?" in address or "#" in address:
            # Paths are appended to it; and a query may be a token, which no message should show.
            raise CommandError(Exit.USAGE, "the base URL must end before its query")
        yield address
        return
    # Nobody but this command calls it, so it may have a ledger beside one that is served.
    app = prepared(address, ledger=MemoryLedger())
    try:
        with serve(app) as served:
            yield served.url
    except NotStartedError as error:
        raise CommandError(Exit.USAGE, f"{address}: {error}") from None


def prepared(name: str, *, ledger: Ledger | None = None) -> ASGIApp:
    """The application `module:attribute`, to be served; an executor gets `ledger` if its options name no file.

    Raises:
        CommandError: it cannot be loaded, or the environment has a value that does not fit its option.
    """
    with _usage_errors(name):
        app = load_app(name)
        return app.application_to_serve(ledger=ledger) if isinstance(app, Executor) else app


def settings_of(name: str) -> Settings:
    """The options under which the application `module:attribute` is served.

    Raises:
        CommandError: as `prepared`.
    """
    with _usage_errors(name):
        app = load_app(name)
        return Settings.from_environment(os.environ, otherwise=app.settings if isinstance(app, Executor) else None)


@contextmanager
def _usage_errors(name: str) -> Iterator[None]:
    try:
        yield
    except AppError as error:
        raise CommandError(Exit.USAGE, f"{error}{place_of(error.__cause__)}") from None
    except DefinitionError as error:
        raise CommandError(Exit.USAGE, f"{name}: {error}") from None


def application() -> ASGIApp:
    """The application of `executor serve`, for the server to ask for, in this process or in one that it starts."""
    name = os.environ[APP_VARIABLE]
    with _usage_errors(name):
        load_app(name)
    _set_up_logging(os.environ.get(LOG_VARIABLE))
    return prepared(name)


def _set_up_logging(level: str | None) -> None:
    """Let the log go to standard error, from INFO on, unless the author has set up logging already; a `level` that was
    asked for counts in both cases."""
    root = logging.getLogger()
    if not root.handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        # They would write down every URL that is fetched, and headers, with whatever token is in it.
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)
    if level is not None:
        root.setLevel(level.upper())


def check_url(url: str, option: str = "") -> None:
    """Refuse a URL that no call can be sent to; `option` begins the message.

    Raises:
        CommandError: it is one.
    """
    try:
        split(url)
    except UnusableUrlError as error:
        raise CommandError(Exit.USAGE, f"{option}{error}") from None
