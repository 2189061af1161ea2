"""The wheel: it installs into a clean environment, and the first page of the README works there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.docs.printed import blocks

ROOT = Path(__file__).resolve().parent.parent

SPECS = "from importlib.util import find_spec; print([find_spec('aiohttp'), find_spec('nacl')])"

IN_PROCESS = """
from executor_sdk import in_process
from app import executor
with in_process(executor) as rt:
    print(rt.execute({}).output["answer"])
"""


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


@pytest.fixture(scope="module")
def kernel_libraries(clean: Path) -> Path:
    """The wheel installed with its extra `kernel`, in a folder of its own."""
    folder = clean.parent.parent
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "install", "--target", folder / "kernel", f"{wheel}[kernel]", cwd=folder)
    return folder / "kernel"


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


def test_the_page_about_the_install_holds_as_printed(tmp_path: Path) -> None:
    """In an empty folder with nothing but the clone beside it, and with no environment active."""
    (tmp_path / "executor-kit").symlink_to(ROOT)
    (typed,) = blocks((ROOT / "docs" / "install.md").read_text(), "console")
    quiet = typed.replace("pip install", "pip --disable-pip-version-check install --quiet")

    said = run(
        "env", "--unset=VIRTUAL_ENV", "--unset=PYTHONPATH", f"PATH={Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin",
        "bash", "-ec", quiet, cwd=tmp_path,
    )  # fmt: skip

    assert "usage: executor" in said
    assert (tmp_path / ".venv" / "bin" / "kernel-stub").exists()


def test_an_executor_needs_nothing_of_the_kernels(clean: Path, tmp_path: Path) -> None:
    """Neither library is there, and the command line, the in-process test and the conformance suite work."""
    (tmp_path / "app.py").write_text((ROOT / "tests" / "smallest.py").read_text())

    assert "usage: executor" in run(clean / "executor", "--help", cwd=tmp_path)
    assert run(clean / "python", "-c", SPECS, cwd=tmp_path) == "[None, None]\n"
    assert "the executor conforms" in run(clean / "executor", "conformance", "app", cwd=tmp_path)
    assert run(clean / "python", "-c", IN_PROCESS, cwd=tmp_path) == "x\n"
    run(clean / "python", "-c", "import reference_executors.analyst", cwd=tmp_path)


def test_the_kernel_says_what_to_install(clean: Path, tmp_path: Path) -> None:
    """One sentence, with the line to type."""
    ended = subprocess.run([clean / "kernel-stub", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "ImportError: kernel_stub needs the extra `kernel` (aiohttp, nacl): pip install 'executor-sdk[kernel]'"
    )


def test_the_extra_brings_the_kernel(clean: Path, kernel_libraries: Path, tmp_path: Path) -> None:
    """Without the tools that only tests need."""
    path = f"PYTHONPATH={kernel_libraries}"

    assert "usage: kernel-stub" in run("env", path, clean / "kernel-stub", "--help", cwd=tmp_path)


def test_the_wheel_holds_three_packages_and_their_data(clean: Path) -> None:
    """SQL files and the typing marker travel too; tests and templates stay at home."""
    (site,) = (clean.parent / "lib").glob("python3*/site-packages")

    assert (site / "executor_sdk" / "py.typed").exists()
    assert list((site / "kernel_stub" / "store" / "sql").glob("*.sql"))
    assert not (site / "tests").exists()
