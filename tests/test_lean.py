"""What an executor loads, and that all of its commands work where the kernel's libraries are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SERVING = """
import sys
from urllib.request import urlopen
import executor_sdk
from executor_sdk.testing import serve
from tests.smallest import executor
with serve(executor) as served, urlopen(served.url + "/capabilities") as answer:
    assert answer.status == 200
print(sorted({"aiohttp", "nacl"} & set(sys.modules)))
"""

#: What measures coverage may have loaded one of them before.
LOADING = """
import sys
before = set(sys.modules)
import executor_sdk
executor_sdk.Executor
print(sorted({"httpx2", "sqlite3"} & (set(sys.modules) - before)))
"""

#: Runs the command line as if neither library were installed.
BLOCKED = """
import sys
sys.modules["aiohttp"] = sys.modules["nacl"] = None
from executor_sdk.cli import main
sys.argv[0] = "executor"
sys.exit(main())
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python at the root of the project, with a folder for temporary files that no other process looks at."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def test_serving_an_executor_loads_nothing_of_the_kernels() -> None:
    """Also where both libraries are installed."""
    ended = python("-c", SERVING)

    assert (ended.stderr, ended.stdout) == ("", "[]\n")


def test_an_executor_loads_what_it_does_not_use_later() -> None:
    """Libraries that make the start of every process slower: the one that fetches, and the one for ledgers in files."""
    ended = python("-c", LOADING)

    assert (ended.stderr, ended.stdout) == ("", "[]\n")


def test_the_command_line_loads_what_draws_tables_later() -> None:
    """What serves an executor draws none."""
    ended = python("-c", "import executor_sdk.cli, sys; executor_sdk.cli.parser(); print('rich' in sys.modules)")

    assert (ended.stderr, ended.stdout) == ("", "False\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("describe", "tests.smallest"),
        ("call", "tests.smallest", "--verify"),
        ("conformance", "tests.smallest"),
    ],
)
def test_every_command_works_without_them(arguments: tuple[str, ...]) -> None:
    """Calls go through httpx2 then."""
    ended = python("-c", BLOCKED, *arguments)

    assert (ended.stderr, ended.returncode) == ("", 0), ended.stdout


def test_the_kernel_stub_says_what_to_install() -> None:
    """In one sentence, at its first import."""
    ended = python("-c", "import sys; sys.modules['nacl'] = None; import kernel_stub")

    assert ended.stderr.splitlines()[-1] == (
        "ImportError: kernel_stub needs the extra `kernel` (nacl): pip install 'executor-sdk[kernel]'"
    )
