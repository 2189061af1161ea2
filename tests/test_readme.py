"""Every Python and console block of the README runs, and does what the page says beside it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

import pytest

from executor_sdk import Executor, Refuse, TryLater, in_process
from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.testing.server import serve
from executor_sdk.testing.tasks import Files

ROOT: Final = Path(__file__).resolve().parent.parent
README: Final = (ROOT / "README.md").read_text()

PYTHON: Final = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CONSOLE: Final = re.findall(r"```console\n(.*?)```", README, re.DOTALL)

#: Where the page says that servers listen; the tests put free ports in their place.
EXECUTOR_URL: Final = "http://127.0.0.1:8787"
KERNEL_ADDRESS: Final = "127.0.0.1:7788"


def bash(script: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as a person would type it, with the programs of this environment, up to the first that fails."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COVERAGE"))},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{cwd}:{ROOT}",
        "VIRTUAL_ENV": sys.prefix,
    }
    # The caller must not wait for what a block leaves in the background.
    stopped = f"trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\nset -e\n{script}"
    return subprocess.run(
        ["bash", "-c", stopped], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


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
    assert (len(PYTHON), len(CONSOLE)) == (5, 3)


def test_the_first_page_and_its_test_hold_as_printed(load: Callable[[str], Any]) -> None:
    """The test is run against the executor that stands above it."""
    page = load(PYTHON[0] + "URL = 'https://data.example.com/sales.csv'\n" + PYTHON[1])

    page.test_growth()


BESIDE_ASKING: Final = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from executor_sdk import ExecutorClient

"""


def test_another_executor_is_asked_as_printed(load: Callable[[str], Any]) -> None:
    """The executor above is asked by one that has it for a peer, as at the address on the page."""
    url, files = (
        "https://data.example.com/sales.csv",
        {"https://data.example.com/sales.csv": b"region,amount\nnorth,5\n"},
    )
    peer = load(PYTHON[0]).executor
    with serve(peer.application(fetcher=Files(files, MemoryArtifacts()))) as served:
        page = load(PYTHON[0] + BESIDE_ASKING + PYTHON[4].replace(EXECUTOR_URL, served.url))
        with in_process(page.executor) as rt:
            done = rt.execute({"data_url": url})

    assert (done.output.decision, done.output.confidence) == ("GROWTH", 0.5)


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


#: What the block about state leaves to its reader.
BESIDE_STATE: Final = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pydantic import BaseModel
from executor_sdk import Executor, execute

class Ask(BaseModel):
    amount: float
    currency: str

class Finding(BaseModel):
    answer: str

class Rates:
    @classmethod
    async def load(cls): return cls()
    def of(self, currency): return 2.0

class FakeRates(Rates):
    def of(self, currency): return 3.0

class Model:
    def forecast(self, amount): return f"model says {amount}"

async def load_model(): return Model()
"""
FAKE_ANALYST: Final = """
class FakeModel(Model):
    def forecast(self, amount): return "fake " + super().forecast(amount)

class FakeAnalyst(Analyst):
    async def setup(self): self.model = FakeModel()
"""


def test_state_of_the_process_reaches_functions_and_classes(load: Callable[[str], Any]) -> None:
    """And a test replaces it as the page says."""
    page = load(BESIDE_STATE + PYTHON[3] + FAKE_ANALYST)
    ask = {"amount": 2, "currency": "EUR"}

    with in_process(page.executor) as rt:
        assert rt.execute(ask, task_type="swarm").output.answer == "4.0"
        assert rt.execute(ask, task_type="forecast").output.answer == "model says 4.0"
    with in_process(page.executor, overrides={page.rates: page.FakeRates, page.Analyst: page.FakeAnalyst}) as rt:
        assert rt.execute(ask, task_type="swarm").output.answer == "6.0"
        assert rt.execute(ask, task_type="forecast").output.answer == "fake model says 6.0"


@pytest.mark.parametrize("script", re.findall(r"^(scripts/\w+)", CONSOLE[0], re.MULTILINE))
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
        ended = bash(CONSOLE[1].replace(EXECUTOR_URL, served.url), cwd=tmp_path)

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

    with serve(executor) as served, socket.create_server(("127.0.0.1", 0)) as found:
        address = f"127.0.0.1:{found.getsockname()[1]}"
        found.close()
        ended = bash(CONSOLE[2].replace(EXECUTOR_URL, served.url).replace(KERNEL_ADDRESS, address), cwd=tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "GROWTH" in ended.stdout
    assert "verified" in ended.stdout.splitlines()[-1]
