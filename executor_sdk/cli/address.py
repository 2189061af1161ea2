"""Reaching what a command names: a URL as it is, an application served on loopback meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from executor_sdk.asking.loading import AppError, load_app
from executor_sdk.cli.exits import CommandError, Exit
from executor_sdk.cli.serving import configured
from executor_sdk.client.base_url import UnusableUrlError, split
from executor_sdk.errors import DefinitionError
from executor_sdk.testing.server import NotStartedError, serve


@contextmanager
def reached(address: str) -> Iterator[str]:
    """The base URL of what `address` names.

    Raises:
        CommandError: the application cannot be loaded or started, or the URL is none.
    """
    if "://" in address:
        yield _usable(address)
        return
    try:
        app = configured(loaded(address))
    except DefinitionError as error:
        raise CommandError(Exit.USAGE, f"{address}: {error}") from None
    try:
        with serve(app) as served:
            yield served.url
    except NotStartedError as error:
        raise CommandError(Exit.USAGE, f"{address}: {error}") from None


def loaded(name: str) -> ASGIApp:
    """The application `module:attribute`.

    Raises:
        CommandError: it cannot be loaded.
    """
    try:
        return load_app(name)
    except AppError as error:
        raise CommandError(Exit.USAGE, str(error)) from None


def _usable(url: str) -> str:
    try:
        split(url)
    except UnusableUrlError as error:
        raise CommandError(Exit.USAGE, str(error)) from None
    if "?" in url or "#" in url:
        # Paths are appended to it; and a query may be a token, which no message should show.
        raise CommandError(Exit.USAGE, "the base URL must end before its query")
    return url
