"""A file is opened durable and migrated, and asked by the names of statements."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from executor_sdk.sqlite.connection import open_file
from tests.executor_sdk.sqlite.words import SQL, WordError, adding, opened, words_in


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "state" / "words.sqlite3"


def test_a_path_may_be_a_string(place: Path) -> None:
    """An author writes one in a settings file."""
    with closing(opened(str(place))) as connection:
        adding("kept")(connection)

    assert words_in(place) == ["kept"]


def test_only_its_owner_can_read_the_file(place: Path) -> None:
    """Nor what SQLite puts beside it, nor the folder that was made for it."""
    with closing(opened(place)) as connection:
        adding("secret")(connection)
        modes = {path.name: path.stat().st_mode & 0o777 for path in place.parent.iterdir()}

    assert modes == dict.fromkeys(("words.sqlite3", "words.sqlite3-wal", "words.sqlite3-shm"), 0o600)
    assert place.parent.stat().st_mode & 0o777 == 0o700


def test_a_commit_survives_a_power_cut(place: Path) -> None:
    """A write-ahead log that is flushed with every commit, and references that hold."""
    opened(place).close()
    raw = opened(place)
    settings = [raw._raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    raw.close()

    assert settings == ["wal", 2]


def test_a_write_is_counted_by_what_it_returns(place: Path) -> None:
    """RETURNING gives a row for each row that was written."""
    with closing(opened(place)) as connection:
        adding("yes", 1.0)(connection)

        assert connection.run("say", word="yes") == [(2.0,)]
        assert connection.run("say", word="no") == []


@pytest.mark.parametrize(
    ("word", "times"),
    [("\ud800", 1.0), ("big", 2**64), ("odd", object()), ("nan", float("nan")), (None, 1.0)],
    ids=["surrogate", "integer", "type", "nan", "null"],
)
def test_a_value_that_cannot_be_written_is_an_error_of_sqlite(place: Path, word: object, times: object) -> None:
    """Whatever way it fails in the driver."""
    with closing(opened(place)) as connection:
        with pytest.raises(sqlite3.Error):
            adding(word, times)(connection)
        with pytest.raises(sqlite3.Error):
            connection.run_each("add_word", [{"word": word, "times": times}])


def test_many_rows_are_written_by_one_call(place: Path) -> None:
    """In their order."""
    with closing(opened(place)) as connection:
        connection.run_each("add_word", ({"word": word, "times": 1} for word in "cab"))

        assert connection.run("list_words") == [("c",), ("a",), ("b",)]


def test_one_moment_is_read_whatever_is_written(place: Path) -> None:
    """A page and its count agree."""
    with closing(opened(place)) as reader, closing(opened(place)) as writer:
        with reader.one_moment():
            before = reader.run("list_words")
            adding("meanwhile")(writer)
            assert reader.run("list_words") == before == []

        assert reader.run("list_words") == [("meanwhile",)]


def test_a_file_is_brought_forward_with_what_it_holds(place: Path) -> None:
    """From every version there ever was."""
    place.parent.mkdir()
    for version in range(len(SQL.migrations) + 1):
        path = place.with_name(f"v{version}")
        with closing(sqlite3.connect(path)) as file, file:
            for migration in SQL.migrations[:version]:
                for statement in migration:
                    file.execute(statement)
            if version:
                file.execute("INSERT INTO words VALUES ('old', 1)")
            file.execute(f"PRAGMA user_version = {version}")

        assert words_in(path) == (["old"] if version else [])
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA user_version").fetchone() == (len(SQL.migrations),)


def test_a_migration_that_fails_leaves_the_file_as_it_was(place: Path) -> None:
    """Half a schema would be neither the old release's nor the new one's."""
    place.parent.mkdir()
    with closing(sqlite3.connect(place)) as file:
        file.execute("CREATE TABLE promises (other TEXT)")

    with pytest.raises(WordError, match="promises already exists"):
        opened(place)
    with closing(sqlite3.connect(place)) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == [("promises",)]
        assert file.execute("PRAGMA user_version").fetchone() == (0,)


def test_a_file_of_a_later_release_is_left_alone(place: Path) -> None:
    """To read it by old rules would break it."""
    place.parent.mkdir()
    with closing(sqlite3.connect(place)) as file:
        file.execute("PRAGMA user_version = 99")

    with pytest.raises(WordError, match=r"was written by a later release \(version 99\); this one knows 2"):
        opened(place)


def test_a_file_that_is_no_database_is_told_with_its_path(place: Path) -> None:
    """Without a traceback of the driver."""
    place.parent.mkdir()
    place.write_text("this is no database, but it is long enough to look like one" * 20, encoding="utf-8")

    with pytest.raises(WordError, match=r"words\.sqlite3 cannot be opened: file is not a database"):
        opened(place)
    with pytest.raises(WordError, match="cannot be opened"):
        opened(place.parent)
    with pytest.raises(WordError, match="cannot be opened"):
        opened("null\0byte")


def test_openings_at_once_make_one_file(place: Path) -> None:
    """A server and its workers may be started together on an empty folder."""

    def add(n: int) -> None:
        with closing(opened(place)) as connection:
            adding(f"word {n}")(connection)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(24)))

    assert sorted(words_in(place)) == sorted(f"word {n}" for n in range(24))


def test_an_old_sqlite_is_told_before_the_file_is_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first statement that it cannot read would say less."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))

    with pytest.raises(WordError, match=r"is too old: 3\.37\.0 or newer is needed"):
        open_file(place, SQL, error=WordError)
    assert not os.path.lexists(place)
