"""Options are checked, named with their units, and read from an environment by prefix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from executor_sdk import DefinitionError, Settings


def test_the_environment_is_read_by_prefix() -> None:
    """Variables of other tools are left alone."""
    settings = Settings.from_environment(
        {
            "EXECUTOR_TIMEOUT_S": "2.5",
            "EXECUTOR_THREADS": "3",
            "EXECUTOR_ADOPT": "no",
            "EXECUTOR_LEDGER": "/var/ledger.db",
            "EXECUTOR_ALLOW_HOSTS": "a.test, *.b.test",
            "EXECUTOR_FILE_ROOTS": "/data",
            "EXECUTOR_OTHER_TOOL": "x",
            "TIMEOUT_S": "9",
        }
    )

    assert settings == Settings(
        timeout_s=2.5,
        threads=3,
        adopt=False,
        ledger=Path("/var/ledger.db"),
        allow_hosts=("a.test", "*.b.test"),
        file_roots=(Path("/data"),),
    )


@pytest.mark.parametrize("text", ["many", "", "1.5"])
def test_a_value_that_cannot_be_read_names_its_variable(text: str) -> None:
    """So that whoever set it finds it."""
    with pytest.raises(DefinitionError, match=f"EXECUTOR_THREADS='{text}' cannot be read as int"):
        Settings.from_environment({"EXECUTOR_THREADS": text})


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"threads": 0}, "threads is 0; it must be at least 1"),
        ({"timeout_s": 0.0}, "timeout_s is 0.0; it must be at least"),
        ({"max_connections": 0}, "max_connections is 0; it must be at least 1"),
        ({"max_head_bytes": 1_000}, "max_head_bytes is 1000; it must be at least 1024"),
        ({"head_timeout_s": 0.0}, "head_timeout_s is 0.0; it must be at least"),
        ({"linger_ms": -1}, "linger_ms is -1; it must be at least 0"),
        ({"timeout_s": float("nan")}, "timeout_s is nan"),
    ],
)
def test_a_value_out_of_bounds_is_refused(option: dict[str, Any], sentence: str) -> None:
    """At once, not when it first matters."""
    with pytest.raises(DefinitionError, match=sentence):
        Settings(**option)


def test_an_unknown_option_is_refused() -> None:
    """With a guess where there is one, with the list where there is none."""
    with pytest.raises(DefinitionError, match="did you mean max_body_bytes"):
        Settings().changed(max_body_size=1)
    with pytest.raises(DefinitionError, match="there are: timeout_s, "):
        Settings().changed(xyzzy=1)
