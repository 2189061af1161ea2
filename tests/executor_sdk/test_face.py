"""The face is complete, lazy and quick to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import executor_sdk

PACKAGE = Path(executor_sdk.__file__).parent


@pytest.mark.parametrize("name", executor_sdk.__all__)
def test_every_name_is_there(name: str) -> None:
    """And listed, so that completion finds it."""
    assert getattr(executor_sdk, name) is not None
    assert name in dir(executor_sdk)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="no attribute 'Exekutor'"):
        executor_sdk.Exekutor  # noqa: B018


def test_importing_the_face_loads_no_room() -> None:
    """And an executor needs neither a test runner nor a server."""
    code = (
        "import sys, executor_sdk; rooms = [m for m in sys.modules if m.startswith('executor_sdk.')]; "
        "assert not rooms, rooms; executor_sdk.Executor; "
        "loaded = {'pytest', 'uvicorn', 'kernel_stub', '_pytest'} & set(sys.modules); assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert done.stderr == ""
    assert done.returncode == 0


def test_nothing_in_the_package_imports_its_own_face() -> None:
    """It would make a circle; import-linter cannot forbid an ancestor."""
    guilty = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "executor_sdk")
        or (isinstance(node, ast.Import) and any(alias.name == "executor_sdk" for alias in node.names))
    ]

    assert guilty == []


def test_the_package_says_that_it_is_typed() -> None:
    """PEP 561."""
    assert (PACKAGE / "py.typed").exists()
