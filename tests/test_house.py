"""The house keeps its own rules: every room says what it is, and no package comes in by its own face."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("executor_sdk", "kernel_stub", "reference_executors")

#: A source file of so many lines has a test module of its own name.
MIRRORED_FROM = 150

#: Those that have none, and the module that tests them, because they are seen from outside only through another room.
TESTED_ELSEWHERE = {
    "executor_sdk/authoring/decorators.py": "executor_sdk/authoring/test_mistakes.py",
    "executor_sdk/authoring/handler.py": "executor_sdk/authoring/test_calling.py",
    "executor_sdk/authoring/schema.py": "executor_sdk/authoring/test_signatures.py",
    "executor_sdk/authoring/signature.py": "executor_sdk/authoring/test_signatures.py",
    "executor_sdk/cli/checks.py": "executor_sdk/cli/test_doctor.py",
    "executor_sdk/conformance/session.py": "conformance/test_plugin.py",
    "executor_sdk/conformance/suite/copies.py": "conformance/test_suite.py",
    "executor_sdk/conformance/suite/execute.py": "conformance/test_suite.py",
    "executor_sdk/conformance/suite/verify.py": "conformance/test_suite.py",
    "executor_sdk/conformance/target.py": "conformance/test_examination.py",
    "executor_sdk/executions/record.py": "executor_sdk/executions/test_memory.py",
    "executor_sdk/executions/works.py": "executor_sdk/executions/test_executions.py",
    "executor_sdk/policies/schema_bounds.py": "executor_sdk/policies/test_schemas.py",
    "kernel_stub/dev/failures.py": "kernel_stub/dev/test_trials.py",
    "kernel_stub/dev/kernel.py": "kernel_stub/dev/test_trials.py",
    "kernel_stub/dev/story.py": "kernel_stub/dev/test_trials.py",
    "kernel_stub/errors.py": "kernel_stub/api/test_bad_input.py",
    "kernel_stub/log/forms.py": "kernel_stub/log/test_recorded_log.py",
    "kernel_stub/rules/records.py": "kernel_stub/rules/test_run.py",
    "kernel_stub/runs/holdings.py": "kernel_stub/runs/test_leases.py",
    "kernel_stub/store/claims.py": "kernel_stub/store/test_sqlite.py",
    "kernel_stub/store/port.py": "kernel_stub/store/test_sqlite.py",
}

#: Tests in which a sleep stands outside of any loop, and what it is there, if no wait for a condition.
SLEEPS = {
    "conformance/model.py": "the time that the model's work takes",
    "end_to_end/killable_executor.py": "the time that a step takes",
    "end_to_end/test_kills.py": "the moment of a kill, drawn by chance",
    "executor_sdk/executions/test_executions.py": "the time that a slow ledger takes",
    "executor_sdk/test_cancelling.py": "the time between two alarms",
    "executor_sdk/testing/test_fake_time.py": "none: the clock is fake",
    "executor_sdk/transports/test_asgi.py": "the time after which a caller is watched, which nothing outside tells of",
    "executor_sdk/transports/test_hearing.py": "the time that a quick answer takes",
    "executor_sdk/transports/test_lost_race.py": "the times of recorded calls",
    "executor_sdk/transports/test_slow_steps.py": "the times of recorded calls",
    "kernel_stub/scripted.py": "the time that scripted work takes",
}


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


def test_tests_mirror_what_they_test() -> None:
    """Whoever changes a room finds its tests by its name, or here."""
    large = [name_of(room) for room in rooms() if len(room.read_text().splitlines()) >= MIRRORED_FROM]

    assert [name for name in large if not _mirror_of(name).exists() and name not in TESTED_ELSEWHERE] == []
    assert [name for name in TESTED_ELSEWHERE if name not in large] == []
    assert [name for name in TESTED_ELSEWHERE if _mirror_of(name).exists()] == []
    assert [test for test in TESTED_ELSEWHERE.values() if not (ROOT / "tests" / test).exists()] == []


def _mirror_of(name: str) -> Path:
    room = Path(name.replace("executor_sdk/conformance/", "conformance/"))
    return ROOT / "tests" / room.parent / f"test_{room.name}"


def test_no_two_public_classes_share_a_name() -> None:
    """One word for one thing: a name in a message or a stack trace leads to one room."""
    homes: dict[str, list[str]] = {}
    for room in rooms():
        for node in ast.parse(room.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name_of(room))

    assert {name: rooms_of for name, rooms_of in homes.items() if len(rooms_of) > 1} == {}


def test_no_test_sleeps_in_place_of_a_condition() -> None:
    """Too short a wait tests nothing, and too long a one is paid each time: a sleep stands in a loop that ends when
    what is waited for has happened."""
    tests = sorted((ROOT / "tests").rglob("*.py"))
    sleeping = [test.relative_to(ROOT / "tests").as_posix() for test in tests if _sleeps(ast.parse(test.read_text()))]

    assert sleeping == sorted(SLEEPS)


def _sleeps(node: ast.AST) -> bool:
    """Whether `sleep` is called for some time outside of any `while`."""
    if isinstance(node, ast.While):
        return False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep":
        return [ast.unparse(argument) for argument in node.args] != ["0"]
    return any(_sleeps(child) for child in ast.iter_child_nodes(node))
