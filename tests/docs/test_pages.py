"""Every command of the pages is run as printed, beside the files that the pages show."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.docs.printed import EXECUTOR_URL, KERNEL_ADDRESS, ROOT, bash, blocks, free_port, in_background

DOCS: Final = ROOT / "docs"

#: Pages whose commands want more than the examples and an executor: who runs them.
ELSEWHERE: Final = {
    "install": "tests/test_distribution.py",  # a fresh environment, and the package registry
    "event-log": "tests/docs/test_log_page.py",  # a log
}

#: Programs that serve until they are stopped, where they are the last line of a block.
SERVERS: Final = ("uvicorn ", "executor serve ", "executor dev ")

PAGES: Final = {page.stem: blocks(page.read_text(), "console") for page in sorted(DOCS.glob("*.md"))}


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder of the reader's own with the files that the pages say to save."""
    return Path(shutil.copytree(DOCS / "examples", tmp_path / "examples"))


@pytest.mark.parametrize("page", [page for page, found in PAGES.items() if found and page not in ELSEWHERE])
def test_the_commands_of_a_page_work(page: str, examples: Path) -> None:
    """All blocks in their order; `app.py` is served wherever the page says that an executor listens."""
    url, kernel = f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    port = url.rpartition(":")[2]
    serve_app = f"executor serve app --listen 127.0.0.1:{port}"

    for block in PAGES[page]:
        typed = block.replace(EXECUTOR_URL, url).replace(KERNEL_ADDRESS, kernel).replace("8787", port)
        *before, last = [line for line in typed.splitlines() if line.strip()]
        serves = any(program in last for program in SERVERS)
        with ExitStack() as stack:
            if url in typed:
                stack.enter_context(in_background(serve_app, url, cwd=examples))
            ended = bash("\n".join(before if serves else [*before, last]), cwd=examples)
            assert ended.returncode == 0, ended.stdout + ended.stderr
        if serves:
            with in_background(last, url, cwd=examples):
                pass


def test_the_commands_that_are_not_run_here_are_run_elsewhere() -> None:
    """The pages are there, and so are their tests."""
    assert [page for page in ELSEWHERE if not PAGES[page]] == []
    assert [test for test in ELSEWHERE.values() if not (ROOT / test).exists()] == []


def test_no_page_has_code_of_its_own() -> None:
    """Programs are included from files that are run; only README, which no generator builds, prints its own."""
    assert [page.name for page in DOCS.glob("*.md") if blocks(page.read_text(), "(?:python|bash|sh)")] == []


def test_every_example_is_on_a_page() -> None:
    """What no page shows would grow old unseen."""
    shown = "".join(page.read_text() for page in DOCS.glob("*.md"))

    whole = [f"{file.parent.name}/{file.name}" for file in (ROOT / "examples").glob("*/app.py")]

    assert [file.name for file in (DOCS / "examples").glob("*.*") if f"examples/{file.name}" not in shown] == []
    assert [name for name in whole if f"../examples/{name}" not in shown] == []
