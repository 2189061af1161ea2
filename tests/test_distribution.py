"""The wheel: it installs into a clean environment, and the first page of the README works there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    """What a program prints; its errors are shown when it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with nothing in it but the wheel and what it asks for; returns its `bin`."""
    folder = tmp_path_factory.mktemp("clean")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder / "dist", ROOT, cwd=folder)
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    (wheel,) = (folder / "dist").glob("*.whl")
    run(*pip, "--python", programs / "python", "install", wheel, cwd=folder)
    return programs


def first_page() -> str:
    """The first Python block of the README, word for word."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    return block.group(1)


def test_the_first_page_works_from_the_wheel(clean: Path, tmp_path: Path) -> None:
    """Saved as `app.py`, described, called and verified by the command line that came with it."""
    (tmp_path / "app.py").write_text(first_page())
    sales = tmp_path / "sales.csv"
    sales.write_text("region,amount\nnorth,5\nsouth,-2\n")
    ask = json.dumps({"data_url": sales.as_uri()})
    environment = f"EXECUTOR_FILE_ROOTS={tmp_path}"

    described = json.loads(run(clean / "executor", "describe", "app:executor", "--json", cwd=tmp_path))
    called = run(
        "env", environment, clean / "executor", "call", "app:executor", "--input", ask, "--verify", "--json",
        cwd=tmp_path,
    )  # fmt: skip

    assert described["capabilities"]["model_id"] == "drivers-1"
    assert '"GROWTH"' in called.replace(" ", "")
    assert '"passed"' in called


def test_every_program_of_the_wheel_starts(clean: Path, tmp_path: Path) -> None:
    """Both command lines load without the tools that only tests need."""
    assert "usage: executor" in run(clean / "executor", "--help", cwd=tmp_path)
    assert "usage: kernel-stub" in run(clean / "kernel-stub", "--help", cwd=tmp_path)
    run(clean / "python", "-c", "import reference_executors.analyst", cwd=tmp_path)


def test_the_wheel_holds_three_packages_and_their_data(clean: Path) -> None:
    """SQL files and the typing marker travel too; tests and templates stay at home."""
    (site,) = (clean.parent / "lib").glob("python3*/site-packages")

    assert (site / "executor_sdk" / "py.typed").exists()
    assert list((site / "kernel_stub" / "store" / "sql").glob("*.sql"))
    assert not (site / "tests").exists()
