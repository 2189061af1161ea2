"""Each option takes the forms that it names, keeps one of them, and says of any other value what to write instead."""

from __future__ import annotations

import math
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest

from executor_sdk import DefinitionError, Executor, Settings, in_process
from executor_sdk.options.option import Option
from executor_sdk.settings import OPTIONS
from tests.smallest import executor


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"timeout_s": 60}, {"timeout_s": 60.0}),
        ({"ledger": "x.db"}, {"ledger": Path("x.db")}),
        ({"ledger": Path("x.db")}, {"ledger": Path("x.db")}),
        ({"ledger": None}, {"ledger": None}),
        ({"allow_hosts": "example.org"}, {"allow_hosts": ("example.org",)}),
        ({"allow_hosts": ["a.test", "b.test"]}, {"allow_hosts": ("a.test", "b.test")}),
        ({"file_roots": "/data"}, {"file_roots": (Path("/data"),)}),
        ({"file_roots": Path("/data")}, {"file_roots": (Path("/data"),)}),
        ({"file_roots": ("/data", Path("/more"))}, {"file_roots": (Path("/data"), Path("/more"))}),
    ],
)
def test_accepted_forms_are_kept_in_one(written: dict[str, Any], kept: dict[str, Any]) -> None:
    """However the option is written: a reader of the settings knows one form only."""
    for settings in (Settings(**written), Settings().changed(**written), Executor("acme", "m-1", **written).settings):
        found = {name: getattr(settings, name) for name in kept}
        assert found == kept
        assert [type(value) for value in found.values()] == [type(value) for value in kept.values()]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (
            {"timeout_s": "60"},
            "the option timeout_s is '60'; it must be a number of seconds, at least 0.001: write timeout_s=60",
        ),
        ({"timeout_s": "soon"}, "must be a number of seconds, at least 0.001: write timeout_s=25"),
        ({"timeout_s": True}, "timeout_s is True; it must be a number of seconds"),
        ({"timeout_s": math.nan}, "timeout_s is nan; it must be a number of seconds"),
        ({"timeout_s": math.inf}, "timeout_s is inf; it must be a number of seconds"),
        ({"timeout_s": 10**400}, "it must be a number of seconds"),
        ({"timeout_s": None}, "timeout_s is None; it must be a number of seconds"),
        (
            {"linger_ms": -1},
            "linger_ms is -1; it must be a whole number of milliseconds, at least 0: write linger_ms=20000",
        ),
        ({"linger_ms": 1.5}, "linger_ms is 1.5; it must be a whole number of milliseconds"),
        ({"max_head_bytes": 1_000}, "it must be a whole number of bytes, at least 1024: write max_head_bytes=32768"),
        ({"threads": False}, "threads is False; it must be a whole number, at least 1: write threads=40"),
        ({"adopt": 1}, "adopt is 1; it must be True or False: write adopt=True"),
        ({"adopt": "no"}, "adopt is 'no'; it must be True or False: write adopt=False"),
        ({"ledger": ["x.db"]}, "ledger is ['x.db']; it must be a path: write ledger='folder/name'"),
        ({"ledger": " "}, "ledger is ' '; it must be a path"),
        ({"allow_hosts": 5}, "allow_hosts is 5; it must be a tuple of texts: write allow_hosts=('example.org',)"),
        ({"allow_hosts": ("a.test", 5)}, "it must be a tuple of texts"),
        ({"allow_hosts": b"a.test"}, "it must be a tuple of texts"),
        ({"file_roots": [None]}, "file_roots is [None]; it must be a tuple of paths: write file_roots=('/data',)"),
    ],
)
def test_any_other_value_is_told_where_it_is_written(written: dict[str, Any], sentence: str) -> None:
    """With the option, what was given, what is expected, and an example; not when it first matters."""
    for write in (
        lambda: Settings(**written),
        lambda: Executor("acme", "m-1", **written),
        lambda: in_process(executor, **written).__enter__(),
    ):
        with pytest.raises(DefinitionError) as told:
            write()
        assert sentence in told.value.message


def test_a_long_value_is_shown_in_part() -> None:
    """A message is for people."""
    with pytest.raises(DefinitionError) as told:
        Settings(threads="x" * 1_000)  # type: ignore[arg-type]

    assert len(told.value.message) < 200


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_every_default_and_every_example_fits(option: Option) -> None:
    """So that what a message recommends can be written."""
    assert option.accepted(option.default) == option.default
    assert option.accepted(literal_eval(option.example)) is not None
