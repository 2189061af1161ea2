"""Tests of the application that a command names: its options from the environment."""

from __future__ import annotations

import pytest

from executor_sdk.cli.applications import over
from executor_sdk.errors import DefinitionError
from executor_sdk.settings import Settings


def test_the_environment_changes_only_what_it_names() -> None:
    """An executor keeps its author's options, and a value that cannot be read is told."""
    own = Settings(timeout_s=7, linger_ms=5)

    assert over(own, {"EXECUTOR_LINGER_MS": "9", "PATH": "/bin"}) == Settings(timeout_s=7, linger_ms=9)
    with pytest.raises(DefinitionError):
        over(own, {"EXECUTOR_LINGER_MS": "soon"})
