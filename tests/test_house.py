"""The house keeps its own rules: every room says what it is, and no package comes in by its own face."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("executor_sdk", "kernel_stub", "reference_executors")


def rooms() -> list[Path]:
    """Every source file of the three packages."""
    return [room for package in PACKAGES for room in sorted((ROOT / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    """The path of a room inside the project."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", rooms(), ids=name_of)
def test_every_room_opens_with_one_sentence(room: Path) -> None:
    """It is the caption on the door: a whole sentence on the first line, not a list of contents."""
    said = ast.get_docstring(ast.parse(room.read_text()))

    assert said, f"{name_of(room)} does not say what lives there"
    assert said.split("\n\n")[0].rstrip().endswith((".", "`")), said


@pytest.mark.parametrize("room", rooms(), ids=name_of)
def test_no_package_comes_in_by_its_own_face(room: Path) -> None:
    """A room that imports its own package's face waits for all rooms to be built, itself among them."""
    package = room.relative_to(ROOT).parts[0]
    tree = ast.parse(room.read_text())

    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module != package, f"{name_of(room)}:{node.lineno} imports from {package} itself"
            assert node.level == 0, f"{name_of(room)}:{node.lineno} is a relative import; write the whole name"


def test_no_room_is_a_lumber_room() -> None:
    """Things without a home of their own have not been thought through."""
    lumber = {"utils", "helpers", "common", "misc", "manager", "service", "base", "core", "types"}

    named_so = [room for room in rooms() if lumber.intersection(room.relative_to(ROOT).with_suffix("").parts)]

    assert [name_of(room) for room in named_so] == []


def test_each_dependency_says_why_it_is_there() -> None:
    """One comment on the line of each requirement that an installed kit brings along."""
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)

    assert block is not None
    assert [line for line in block.group(1).splitlines() if "#" not in line] == []
