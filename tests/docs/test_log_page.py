"""The commands of the page about the event log work, on the log of the run of the page about the kernel stub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from tests.docs.printed import EXECUTOR_URL, KERNEL_ADDRESS, ROOT, bash, blocks, free_port, in_background

DOCS: Final = ROOT / "docs"


def test_the_commands_of_the_page_work(tmp_path: Path) -> None:
    """A head is kept and held against the log, then the log is exported and checked as a file."""
    examples = Path(shutil.copytree(DOCS / "examples", tmp_path / "examples"))
    (run,) = blocks((DOCS / "kernel-stub.md").read_text(), "console")
    kept, exported = blocks((DOCS / "event-log.md").read_text(), "console")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    run = run.replace(EXECUTOR_URL, url).replace(KERNEL_ADDRESS, f"127.0.0.1:{free_port()}")

    with in_background(f"executor serve app --listen 127.0.0.1:{port}", url, cwd=examples):
        assert bash(run, cwd=examples).returncode == 0
    first = bash(kept, cwd=examples)
    export, check = exported.splitlines()
    written = bash(export, cwd=examples)
    key = json.loads((examples / "chain.jsonl").read_text().splitlines()[0])["node_id"]
    checked = bash(check.replace("KEY", key), cwd=examples)

    assert [first.returncode, written.returncode, checked.returncode] == [0, 0, 0], first.stderr + checked.stderr
    assert "verified" in first.stdout
    assert "verified" in checked.stdout
