"""Two type checkers, mypy and pyright, agree: authors' code passes both, and both find a mistake on its line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

#: Code of authors as we show it, beside the first page of the README and its test.
SHOWN: Final = ("tests/typing", "tests/executor_sdk/first_page.py", "tests/smallest.py", "examples", "docs/examples")

#: An author's module; the lines with a mark are mistakes.
MISTAKEN: Final = """
from __future__ import annotations
from typing import Annotated
from pydantic import BaseModel
from executor_sdk import Candidate, Depends, Executor, ExecutorClient, Refuse, Task, TryLater, Verdict, in_process
from executor_sdk.testing import FakeModel, FakeTime, a_task

class Ask(BaseModel):
    url: str

class Finding(BaseModel):
    answer: str

executor = Executor("acme", "m-1")
client = ExecutorClient("http://127.0.0.1:8787")

Executor("acme", "m-1", timeout=60)  # WRONG: no such option
Executor("acme", "m-1", timeout_s="60")  # WRONG: an option of another type
Executor("acme")  # WRONG: no model
executor.tool("t")  # WRONG: a word of another framework
in_process(executor, timeout_s="0.1")  # WRONG: the same in a test
in_process("app:executor")  # WRONG: no executor
in_process(executor, time=FakeTime)  # WRONG: the class in place of a clock
a_task({}, timeout_s="3")  # WRONG: text for a number
FakeModel().answer("p", Finding).anwser  # WRONG: the model is known, and its field misspelt

@executor.execute("t", profiles=5)  # WRONG: no profiles
def profiled(ask: Ask) -> Finding:
    return Finding(answer=ask.url)

@executor.execute("t", needs_answer="no")  # WRONG: text for a truth
def needed(ask: Ask) -> Finding:
    return Finding(answer=ask.url)

@executor.execute("found")
async def find(ask: Ask, task: Task) -> Finding:
    rows = task.fetch(ask.url).decode()  # WRONG: a forgotten await
    task.progress("half")  # WRONG: text for a number
    task.artifact("rows", "text/csv")  # WRONG: text for bytes
    if not rows:
        raise Refuse("no rows")  # WRONG: no sentence
    if task.attempt > 3:
        raise TryLater("later", 5)  # WRONG: the time has a name
    done = await client.ask({}, as_=Finding, within=task)
    done.output.anwser  # WRONG: the output is known, and its field misspelt
    await client.ask({}, as_=5)  # WRONG: no type
    await client.ask({}, within="task")  # WRONG: no task
    return {"answer": rows}  # WRONG: another type than promised

@executor.verify
def judge(candidate: Candidate[Finding]) -> Verdict:
    if candidate.output.answer > 5:  # WRONG: text is not compared with numbers
        return True  # WRONG: no verdict
    return Verdict.failed("differs")  # WRONG: no reason code

async def use(ask: Ask, task: Task) -> None:
    find(ask, task).answer  # WRONG: a forgotten await
    await find(ask)  # WRONG: a decorated function keeps its parameters
    judge(ask)  # WRONG: and their types

with in_process(executor, overrides={use: 5}) as rt:  # WRONG: nothing that makes
    rt.execute({}, cancel_at="half")  # WRONG: text for a number
    rt.verify({"answer": "x"})  # WRONG: nothing that was done
    rt.call(rt.client.capabilities())  # WRONG: called already
"""

#: The standard mode is what pyright, and an editor with it, does by itself.
PYRIGHT: Final = {
    "typeCheckingMode": "standard",
    "pythonVersion": "3.11",
    "extraPaths": [str(ROOT), str(ROOT / "docs/examples")],
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first page of the README and its test, and with the mistakes."""
    folder = tmp_path_factory.mktemp("pages")
    page, test, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (folder / "app.py").write_text(page)
    (folder / "test_app.py").write_text(test)
    (folder / "mistaken.py").write_text(MISTAKEN)
    return folder


def python(*arguments: str | Path) -> str:
    """What a checker prints, at the root of the project."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300).stdout


@pytest.fixture(scope="module")
def by_pyright(pages: Path) -> list[tuple[str, int]]:
    """File and line of each error that pyright finds, in one process for all."""
    config = pages / "pyrightconfig.json"
    shown = [str(ROOT / path) for path in SHOWN]
    config.write_text(json.dumps({**PYRIGHT, "include": [str(pages), *shown]}))
    told = json.loads(python("-m", "basedpyright", "--project", config, "--pythonpath", sys.executable, "--outputjson"))
    assert told["summary"]["filesAnalyzed"] > len(SHOWN)
    errors = [one for one in told["generalDiagnostics"] if one["severity"] == "error"]
    return [(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in errors]


@pytest.fixture(scope="module")
def by_mypy(pages: Path) -> list[tuple[str, int]]:
    """File and line of each error that mypy finds. What we show is checked with the whole project, which has left its
    cache behind by then."""
    told = python("-m", "mypy", *pages.glob("*.py"))
    return [(Path(name).name, int(line)) for name, line in re.findall(r"^(.*?):(\d+): error:", told, re.MULTILINE)]


WRONG_LINES: Final = [number for number, line in enumerate(MISTAKEN.splitlines(), 1) if "# WRONG" in line]


def test_what_we_show_passes(by_pyright: list[tuple[str, int]], by_mypy: list[tuple[str, int]]) -> None:
    """Nothing but the planted mistakes is found."""
    assert [found for found in by_pyright if found[0] != "mistaken.py"] == []
    assert [found for found in by_mypy if found[0] != "mistaken.py"] == []


@pytest.mark.parametrize("checker", ["by_pyright", "by_mypy"])
def test_each_mistake_is_found_on_its_line(checker: str, request: pytest.FixtureRequest) -> None:
    """Every one, and nothing beside."""
    found: list[tuple[str, int]] = request.getfixturevalue(checker)

    assert sorted({line for name, line in found if name == "mistaken.py"}) == WRONG_LINES
