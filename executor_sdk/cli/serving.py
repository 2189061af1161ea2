"""The application that `executor serve` hands to the server, in this process or in one that reloads."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from starlette.types import ASGIApp

from executor_sdk.asking.loading import load_app
from executor_sdk.executor import Executor
from executor_sdk.settings import PREFIX, Settings

#: Names the application for processes that the server starts.
APP_VARIABLE: Final = "EXECUTOR_CLI_APP"


def application() -> ASGIApp:
    """The named application, for the server to ask for; it shows its log, unless the author has set that up."""
    app = configured(load_app(os.environ[APP_VARIABLE]))
    show_log()
    return app


def show_log() -> None:
    """Write what is logged, from INFO on, to standard error; a logging that is set up already stays as it is."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        # It would write down every URL that is fetched, with whatever token is in it.
        logging.getLogger("httpx2").setLevel(logging.WARNING)


def configured(app: ASGIApp) -> ASGIApp:
    """`app`; an executor with the options that the environment names over its own."""
    return app.application(over(app.settings, os.environ)) if isinstance(app, Executor) else app


def over(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """`settings` with those options changed that the environment names."""
    read = Settings.from_environment(environment)
    named = [field.name for field in fields(Settings) if PREFIX + field.name.upper() in environment]
    return settings.changed(**{name: getattr(read, name) for name in named})
