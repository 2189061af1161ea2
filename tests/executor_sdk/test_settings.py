"""Options are checked, named with their units, and read from an environment by prefix."""

from __future__ import annotations

from pathlib import Path

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


def test_the_environment_is_over_the_authors_options() -> None:
    """An operator decides; what no variable names stays as the author wrote it."""
    own = Settings(timeout_s=7, linger_ms=5)

    assert Settings.from_environment({"EXECUTOR_LINGER_MS": "9", "PATH": "/bin"}, own) == own.changed(linger_ms=9)
    assert Settings.from_environment({"EXECUTOR_LEDGER": ""}, Settings(ledger=Path("x"))) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("EXECUTOR_THREADS", "many", "a whole number, at least 1: write EXECUTOR_THREADS=40"),
        ("EXECUTOR_THREADS", "", "a whole number, at least 1"),
        ("EXECUTOR_THREADS", "1.5", "a whole number, at least 1"),
        ("EXECUTOR_THREADS", "0", "a whole number, at least 1"),
        ("EXECUTOR_TIMEOUT_S", "nan", "a number of seconds, at least 0.001: write EXECUTOR_TIMEOUT_S=25"),
        ("EXECUTOR_ADOPT", "maybe", "True or False: write EXECUTOR_ADOPT=True"),
    ],
)
def test_a_value_that_cannot_be_read_names_its_variable(variable: str, text: str, expected: str) -> None:
    """So that the operator who set the variable finds it."""
    with pytest.raises(DefinitionError) as told:
        Settings.from_environment({variable: text})

    assert f"{variable}={text!r}; it must be {expected}" in told.value.message


def test_settings_are_values() -> None:
    """Equal by their options, usable as a key, and not to be changed."""
    assert Settings(timeout_s=7) == Settings().changed(timeout_s=7.0) != Settings()
    assert hash(Settings()) == hash(Settings())
    with pytest.raises(AttributeError):
        Settings().threads = 3  # type: ignore[misc]


def test_an_unknown_option_is_refused() -> None:
    """With a guess where there is one, with the list where there is none."""
    with pytest.raises(DefinitionError, match="did you mean max_body_bytes"):
        Settings().changed(max_body_size=1)  # type: ignore[call-arg]
    with pytest.raises(DefinitionError, match=r"docs/settings\.md has all"):
        Settings().changed(xyzzy=1)  # type: ignore[call-arg]
