"""Every Python and console block of the README runs, and does what the page says beside it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

import pytest

from executor_sdk import Executor, Refuse, TryLater
from executor_sdk.testing.server import serve
from tests.docs.printed import EXECUTOR_URL, KERNEL_ADDRESS, ROOT, bash, blocks, free_port, in_background

README: Final = (ROOT / "README.md").read_text()

PYTHON: Final = blocks(README, "python")
CONSOLE: Final = blocks(README, "console")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Makes a module of some source, as if it were saved in a file."""

    def loaded(source: str) -> Any:
        path = tmp_path / "saved.py"
        path.write_text(source)
        spec = spec_from_file_location("saved", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "saved", module)
        spec.loader.exec_module(module)
        return module

    return loaded


def test_every_block_is_known_here() -> None:
    """A new one needs its test."""
    assert (len(PYTHON), len(CONSOLE)) == (3, 5)


def test_page_one_holds_as_printed(tmp_path: Path) -> None:
    """The two files are saved under the names in their first lines; every command beside them is typed as it stands."""
    for source in PYTHON[:2]:
        (tmp_path / source.splitlines()[0].removeprefix("# ")).write_text(source)
    test, serve_line = (line.partition(" # ")[0].strip() for line in CONSOLE[0].splitlines())
    url = f"http://127.0.0.1:{free_port()}"

    tested = bash(test, cwd=tmp_path)
    with in_background(serve_line.replace("8787", url.rpartition(":")[2]), url, cwd=tmp_path):
        called, conforms = (bash(line.replace(EXECUTOR_URL, url), cwd=tmp_path) for line in CONSOLE[1].splitlines())

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "1 passed" in tested.stdout
    assert called.returncode == 0, called.stdout + called.stderr
    assert '"decision": "GROWTH"' in called.stdout
    assert '"verification_status": "passed"' in called.stdout
    assert conforms.returncode == 0, conforms.stdout + conforms.stderr
    assert "the executor conforms" in conforms.stdout


@pytest.mark.parametrize(("block", "file"), [(PYTHON[0], "app.py"), (PYTHON[1], "test_app.py")])
def test_page_one_is_the_first_example_of_the_pages(block: str, file: str) -> None:
    """The same lines, but for the one that names the file."""
    printed = block.partition("\n")[2].strip()

    assert (ROOT / "docs" / "examples" / file).read_text().strip().endswith(printed)


@pytest.mark.parametrize("line", PYTHON[2].splitlines())
def test_an_authors_words_mean_what_stands_beside_them(line: str, load: Callable[[str], Any]) -> None:
    """Each line is the body of a handler or verifier; the number in its comment is the status."""
    said = load(f"from executor_sdk import ReasonCode, Refuse, TryLater, Verdict\ndef said():\n    {line}\n").said
    status = re.search(r"# (\d{3}):", line)

    if status is None:
        assert said().status == "inconclusive"
        return
    with pytest.raises((Refuse, TryLater)) as told:
        said()
    assert told.value.status_code == int(status[1])


@pytest.mark.parametrize("script", re.findall(r"^(scripts/\w+)", CONSOLE[2], re.MULTILINE))
def test_the_scripts_start(script: str) -> None:
    """In an environment that is set up. What the demo plays, tests/end_to_end/test_demo.py watches."""
    ended = bash(f"{script} --help", cwd=ROOT)

    assert ended.returncode == 0, ended.stderr
    assert "usage: " in ended.stdout


def test_the_conformance_commands_test_an_executor(tmp_path: Path, load: Callable[[str], Any]) -> None:
    """One that runs already, and one that is served for the purpose; the second writes its report."""
    smallest = (ROOT / "tests" / "smallest.py").read_text()
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "app.py").write_text(smallest)

    with serve(load(smallest).executor) as served:
        ended = bash(CONSOLE[3].replace(EXECUTOR_URL, served.url), cwd=tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("the executor conforms") == 2
    assert json.loads((tmp_path / "report.json").read_bytes())["conforms"] is True


def test_the_kernel_commands_take_a_run_to_its_decision(tmp_path: Path) -> None:
    """Every command of the block, with a kernel in the background; the log it leaves verifies."""
    executor = Executor("acme", "m-1")

    @executor.execute("swarm")
    def decide(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"decision": "GROWTH", "answer": "x", "confidence": 0.9}

    agents = [{"agent_id": f"a{n}", "executor": "rt", "prompt": "p"} for n in range(3)]
    spec = {"run_id": "analysis-run-001", "task_type": "swarm", "shared_inputs": {"topic": "t"}, "agents": agents}
    (tmp_path / "run-spec.json").write_text(json.dumps(spec))

    with serve(executor) as served:
        address = f"127.0.0.1:{free_port()}"
        ended = bash(CONSOLE[4].replace(EXECUTOR_URL, served.url).replace(KERNEL_ADDRESS, address), cwd=tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "GROWTH" in ended.stdout
    assert "verified" in ended.stdout.splitlines()[-1]
