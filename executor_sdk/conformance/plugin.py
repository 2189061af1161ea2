"""The pytest plugin: `pytest --conformance --executor-url URL`. Without `--conformance` it does nothing.

Everything but the options is imported once the flag is there: pytest loads this module in every project that has the
kit installed.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, all in one group."""
    group = parser.getgroup("conformance", "executor conformance")
    group.addoption("--conformance", action="store_true", help="test an executor against the executor contract")
    group.addoption("--executor-url", metavar="URL", help="the executor under test, already running")
    group.addoption("--executor-app", metavar="MODULE:ATTR", help="an ASGI application to serve and test")
    group.addoption("--executor-samples", metavar="FILE", help="sample tasks as JSON, where the schema cannot tell")
    group.addoption("--executor-timeout", type=float, default=30.0, metavar="S", help="for one call (30 seconds)")
    group.addoption("--executor-burst", type=int, default=12, metavar="N", help="executions at once under load (12)")
    group.addoption("--conformance-report", metavar="PATH", help="write the verdicts as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Register the run itself, or nothing."""
    if config.getoption("--conformance"):
        from executor_sdk.conformance.session import Conformance, target_of

        config.pluginmanager.register(Conformance(target_of(config), config), "executor_conformance_run")
