"""The table of options says of each what a person needs to set it, and the page in docs is that table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from executor_sdk.cli import main
from executor_sdk.cli.settings_table import COMMAND, markdown, rows, shown
from executor_sdk.settings import OPTIONS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"

Output = pytest.CaptureFixture[str]


def test_every_option_has_its_row_and_its_meaning() -> None:
    """In the order of the settings; a meaning is a sentence of its own, taken from the comment above the option."""
    table = {row.name: row for row in rows()}

    assert list(table) == list(OPTIONS)
    assert [name for name, row in table.items() if not row.meaning.endswith(".")] == []
    assert len({row.meaning for row in table.values()}) == len(table)
    assert table["max_head_bytes"].variable == "EXECUTOR_MAX_HEAD_BYTES"
    assert table["max_head_bytes"].kind == "a whole number of bytes, at least 1024"
    assert table["max_head_bytes"].shown == "32 KiB"
    assert table["max_head_bytes"].meaning.startswith("Bytes of a request's first line and header fields")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x_bytes", 16 * 1024 * 1024, "16 MiB"),
        ("x_bytes", 1_000, "1,000 bytes"),
        ("x_ms", 3_600_000, "1 h"),
        ("x_ms", 90_000, "90 s"),
        ("x_ms", 1, "1 ms"),
        ("x_s", 2.5, "2.5 s"),
        ("x", 10_000, "10,000"),
        ("x", True, "True"),
        ("x", None, "none"),
        ("x", (), "none"),
    ],
)
def test_a_default_is_shown_in_its_largest_whole_unit(name: str, value: Any, expected: str) -> None:
    """The unit is that of the option's name."""
    assert shown(name, value) == expected


def test_the_page_is_up_to_date() -> None:
    """Whoever changes an option writes the page again."""
    assert PAGE.read_text() == markdown(rows()), f"docs/settings.md is out of date; write it again: {COMMAND}"


def test_describe_prints_the_options_without_any_executor(capsys: Output) -> None:
    """For people, for programs, and as the page."""
    assert main(["describe", "--settings"]) == 0
    assert (
        "linger_ms (default 20 s)\n  EXECUTOR_LINGER_MS: a whole number of milliseconds, at least 0\n  How long work"
    ) in capsys.readouterr().out

    assert main(["describe", "--settings", "--json"]) == 0
    printed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(printed) == list(OPTIONS)
    assert (printed["linger_ms"]["default"], printed["linger_ms"]["shown"]) == (20_000, "20 s")

    assert main(["describe", "--settings", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text()


@pytest.mark.parametrize("arguments", [[], ["app", "--settings"], ["app", "--markdown"]])
def test_what_is_to_be_described_must_be_clear(arguments: list[str], capsys: Output) -> None:
    """An executor, or the options of all executors."""
    assert main(["describe", *arguments]) == 2
    assert "--settings" in capsys.readouterr().err
