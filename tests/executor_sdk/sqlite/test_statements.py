"""The SQL of a package comes from its folders, by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from executor_sdk.sqlite.statements import load_sql, split_script
from tests.executor_sdk.sqlite.words import SQL


def test_statements_of_all_folders_are_merged() -> None:
    """The shared ones and the dialect's own."""
    shared = {"add_word", "list_words", "say", "how_often", "set_times"}
    assert set(SQL.statements) == shared | {"fill_disk", "promise_word"}


def test_migrations_are_in_the_order_of_their_numbers() -> None:
    """Each as the statements that it is made of."""
    assert [len(migration) for migration in SQL.migrations] == [2, 1]


def test_a_semicolon_inside_a_trigger_ends_no_statement() -> None:
    """A split at each semicolon would cut the trigger in two."""
    [table, trigger] = SQL.migrations[0]

    assert "CREATE TABLE words" in table
    assert trigger.rstrip().endswith("END;")
    assert list(split_script("-- only a comment\n")) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a.sql": "-- one --\nSELECT 1", "b.sql": "-- one --\nSELECT 2"}, "two statements have the name one"),
        ({"schema_1.sql": "SELECT 1;", "schema_3.sql": "SELECT 1;"}, "without a gap"),
    ],
)
def test_a_folder_that_is_ambiguous_is_refused(
    files: dict[str, str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the package is loaded, not with the first call."""
    folder = tmp_path / "ambiguous_words" / "sql"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ValueError, match=complaint):
        load_sql("ambiguous_words", "sql")
    sys.modules.pop("ambiguous_words", None)
