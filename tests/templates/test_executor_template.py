"""Tests of `templates/executor`: what it bakes is a project that passes its own tests in a clean environment."""

from __future__ import annotations

import compileall
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parents[2]

TEMPLATE = ROOT / "templates" / "executor"


def bake(into: Path, **answers: str) -> Path:
    """The folder of a freshly baked project; nothing of the user's own configuration is read."""
    config = into / "cookiecutter.yaml"
    config.write_text(f"replay_dir: {into / 'replay'}\ncookiecutters_dir: {into / 'templates'}\n")
    baked = cookiecutter(
        str(TEMPLATE), no_input=True, output_dir=str(into), config_file=str(config), extra_context=answers
    )
    return Path(baked)


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it must succeed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COVERAGE"))}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_a_baked_project_passes_its_own_tests_in_a_clean_environment(tmp_path: Path) -> None:
    """Installed as its README says, with the kit from this folder, before anything is published."""
    project = bake(tmp_path, executor_sdk_source=str(ROOT))
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"

    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-e", ".[test]", cwd=project)

    assert "4 passed" in run(python, "-m", "pytest", cwd=project)
    assert "conforms: 34 of 34" in run(
        python, "-m", "pytest", "--conformance", "--executor-app", "sales_drivers.executor", cwd=project
    )
    assert '"verification_status": "passed"' in run(
        python.parent / "executor", "call", "sales_drivers.executor", "--verify", cwd=project
    )


def test_a_baked_project_compiles_and_names_the_kit_whatever_was_answered(tmp_path: Path) -> None:
    """Quotes, umlauts and backslashes reach the files as they were meant."""
    project = bake(
        tmp_path,
        project_name="Ört Checker",
        project_slug="ort-checker",
        description="Checks \"places\" and 'paths' like C:\\n.",
        provider_family='the "Örter"',
    )

    assert compileall.compile_dir(project / "ort_checker", quiet=1)
    project_table = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert project_table["description"] == "Checks \"places\" and 'paths' like C:\\n."
    assert project_table["dependencies"] == ["executor-sdk[conformance]>=0.1"]


def test_a_baked_project_is_tested_wherever_it_is_pushed_to(tmp_path: Path) -> None:
    """By the commands of its README, which the first test here runs."""
    project = bake(tmp_path)
    steps = re.findall("- run: (.+)", (project / ".github" / "workflows" / "test.yml").read_text())
    readme = (project / "README.md").read_text()

    assert steps == ["pip install -e '.[test]'", "pytest"]
    assert all(f"\n{step}" in readme for step in steps)


@pytest.mark.parametrize(
    ("source", "requirement"),
    [
        ("executor-sdk[conformance]==0.2", "executor-sdk[conformance]==0.2"),
        ("/srv/kit.whl", "executor-sdk[conformance] @ file:///srv/kit.whl"),
        ("git+https://example.com/kit.git", "executor-sdk[conformance] @ git+https://example.com/kit.git"),
        ("executor-sdk @ https://example.com/kit.whl", "executor-sdk @ https://example.com/kit.whl"),
    ],
)
def test_the_kit_may_come_from_anywhere(tmp_path: Path, source: str, requirement: str) -> None:
    """A requirement, a path or a URL."""
    project = bake(tmp_path, executor_sdk_source=source)

    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"] == [requirement]


@pytest.mark.parametrize(
    "answers",
    [
        {"package_name": "9lives"},
        {"package_name": "class"},
        {"package_name": "executor_sdk"},
        {"project_slug": "../outside"},
        {"provider_family": " "},
        {"task_type": ""},
    ],
)
def test_names_that_cannot_work_are_refused(tmp_path: Path, answers: dict[str, str]) -> None:
    """Before anything is written."""
    with pytest.raises(FailedHookException):
        bake(tmp_path, **answers)

    assert not list(tmp_path.glob("**/executor.py"))
