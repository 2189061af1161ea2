"""Tests of the application that a command names: its options from the environment."""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx2
import pytest

from executor_sdk.cli.applications import over, prepared, reached
from executor_sdk.errors import DefinitionError
from executor_sdk.settings import Settings
from executor_sdk.testing.server import serve


def test_the_environment_changes_only_what_it_names() -> None:
    """An executor keeps its author's options, and a value that cannot be read is told."""
    own = Settings(timeout_s=7, linger_ms=5)

    assert over(own, {"EXECUTOR_LINGER_MS": "9", "PATH": "/bin"}) == Settings(timeout_s=7, linger_ms=9)
    with pytest.raises(DefinitionError):
        over(own, {"EXECUTOR_LINGER_MS": "soon"})


def test_a_command_that_asks_an_executor_disturbs_no_served_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own ledger gets no calls but its own, so nobody is warned of two; a second server is."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    name = "tests.executor_sdk.cli.served:executor"
    with serve(prepared(name)[0]):
        with reached(name) as url:
            assert httpx2.get(f"{url}/health", trust_env=False).status_code == 200
        assert "served more than once" not in caplog.text
        with serve(prepared(name)[0]):
            assert "served more than once" in caplog.text
