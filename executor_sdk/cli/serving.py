"""The application that `executor serve` hands to the server, in this process or in one that reloads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from starlette.types import ASGIApp

from executor_sdk.conformance.loading import load_app
from executor_sdk.executor import Executor
from executor_sdk.settings import PREFIX, Settings

#: Names the application for processes that the server starts.
APP_VARIABLE: Final = "EXECUTOR_CLI_APP"


def application() -> ASGIApp:
    """The named application, for the server to ask for."""
    return configured(load_app(os.environ[APP_VARIABLE]))


def configured(app: ASGIApp) -> ASGIApp:
    """`app`; an executor with the options that the environment names over its own."""
    return app.application(over(app.settings, os.environ)) if isinstance(app, Executor) else app


def over(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """`settings` with those options changed that the environment names."""
    read = Settings.from_environment(environment)
    named = [field.name for field in fields(Settings) if PREFIX + field.name.upper() in environment]
    return settings.changed(**{name: getattr(read, name) for name in named})
