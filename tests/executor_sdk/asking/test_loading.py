"""An application is loaded by its name, or it is told why not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from executor_sdk.asking.loading import AppError, load_app, split


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, empty; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "loaded_here", raising=False)
    return tmp_path


def test_an_application_is_found_in_the_current_directory(here: Path) -> None:
    """By module and attribute, at any depth; the attribute is `executor` where none is named."""
    (here / "loaded_here.py").write_text("class part:\n    def app(): pass\nexecutor = part.app\nnothing = 5\n")

    assert load_app("loaded_here") is load_app("loaded_here:part.app")
    assert split("a.b") == ("a.b", "executor")
    with pytest.raises(AppError, match="is a int, not an ASGI application"):
        load_app("loaded_here:nothing")
    with pytest.raises(AppError, match="has no attribute 'absent'"):
        load_app("loaded_here:absent")


@pytest.mark.parametrize(
    ("source", "sentence"), [("1 / 0", "ZeroDivisionError"), ("import sys; sys.exit(3)", "SystemExit: 3")]
)
def test_a_module_that_cannot_be_imported_is_told(here: Path, source: str, sentence: str) -> None:
    """With what it raised, also when it wants to end the process."""
    (here / "loaded_here.py").write_text(source)

    with pytest.raises(AppError, match=sentence):
        load_app("loaded_here")


def test_a_file_in_place_of_a_module_is_told(here: Path) -> None:
    """With the name to write instead."""
    with pytest.raises(AppError, match="name the module, as app:executor"):
        load_app("folder/app.py")
