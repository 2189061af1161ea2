"""The application that a command names: loaded, set up from the environment, and served where a command asks it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Final

from starlette.types import ASGIApp

from executor_sdk.asking.loading import AppError, load_app
from executor_sdk.cli.command import CommandError, Exit
from executor_sdk.client.base_url import UnusableUrlError, split
from executor_sdk.errors import DefinitionError
from executor_sdk.executions.ledger import Ledger
from executor_sdk.executions.memory import MemoryLedger
from executor_sdk.executor import Executor
from executor_sdk.settings import PREFIX, Settings
from executor_sdk.testing.server import NotStartedError, serve

#: Names the application for processes that the server starts.
APP_VARIABLE: Final = "EXECUTOR_CLI_APP"


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
    app, _ = prepared(address, ledger=MemoryLedger())
    try:
        with serve(app) as served:
            yield served.url
    except NotStartedError as error:
        raise CommandError(Exit.USAGE, f"{address}: {error}") from None


def prepared(name: str, *, ledger: Ledger | None = None) -> tuple[ASGIApp, Settings]:
    """The application `module:attribute` and its options; an executor gets those that the environment names, and
    `ledger` if they name none.

    Raises:
        CommandError: it cannot be loaded, or an option is none that could be.
    """
    try:
        app = load_app(name)
        settings = over(app.settings if isinstance(app, Executor) else Settings(), os.environ)
        served = (
            app.application(settings, ledger=None if settings.ledger else ledger) if isinstance(app, Executor) else app
        )
    except AppError as error:
        raise CommandError(Exit.USAGE, str(error)) from None
    except DefinitionError as error:
        raise CommandError(Exit.USAGE, f"{name}: {error}") from None
    return served, settings


def application() -> ASGIApp:
    """The application of `executor serve`, for the server to ask for, in this process or in one that it starts."""
    app, _ = prepared(os.environ[APP_VARIABLE])
    # The log goes to standard error, from INFO on, unless the author has set up logging already.
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        # It would write down every URL that is fetched, with whatever token is in it.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
    return app


def over(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """`settings` with those options changed that the environment names."""
    read = Settings.from_environment(environment)
    named = [field.name for field in fields(Settings) if PREFIX + field.name.upper() in environment]
    return settings.changed(**{name: getattr(read, name) for name in named})


def check_url(url: str, option: str = "") -> None:
    """Refuse a URL that no call can be sent to; `option` begins the message.

    Raises:
        CommandError: it is one.
    """
    try:
        split(url)
    except UnusableUrlError as error:
        raise CommandError(Exit.USAGE, f"{option}{error}") from None
