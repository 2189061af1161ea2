"""Tests of the application that a command names: and who hears of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx2
import pytest

from executor_sdk.cli.applications import prepared, reached
from executor_sdk.testing.server import serve


def test_a_command_that_asks_an_executor_disturbs_no_served_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own ledger gets no calls but its own, so nobody is warned of two; a second server is."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    name = "tests.executor_sdk.cli.served:executor"
    with serve(prepared(name)):
        with reached(name) as url:
            assert httpx2.get(f"{url}/health", trust_env=False).status_code == 200
        assert "served more than once" not in caplog.text
        with serve(prepared(name)):
            assert "served more than once" in caplog.text
