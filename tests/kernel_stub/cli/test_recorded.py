"""The recorded command lines, one after another, and the table of what ours says otherwise.

`tests/data/cli.jsonl` was recorded from the WattSwarm kernel, wattetheria/wattswarm at fafc797; standard output is null
where it was a long result.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from executor_sdk import Executor
from executor_sdk.testing.server import serve
from kernel_stub.cli import main

RECORDED: Final = Path(__file__).parents[2] / "data" / "cli.jsonl"

#: Where the recorded executor stood; ours takes a free port.
RECORDED_URL: Final = "http://127.0.0.1:8787"

#: **ours**: the recorded arguments → our exit code, standard output, the beginning of standard error, and why.
OURS: Final[dict[str, tuple[int, str | None, str, str]]] = {
    "executors add far2 http://127.0.0.1:8787 --remote": (
        1,
        "",
        "Error: target_node_id is required when remote is true\n",
        "the documents require it",
    ),
    "executors list": (
        0,
        "demo URL [local]\nfar URL [remote target=node-abc scope=lan:cluster-a]\nrt URL [local]\n",
        "",
        "other executors were registered",
    ),
    "executors check nobody": (1, "", "Error: executor not found: nobody\n", "the name helps"),
    "run --pg-url PG_URL init": (1, "", "Error: --pg-url: PostgreSQL is not offered yet", "SQLite only, so far"),
    "run init --pg-url PG_URL": (1, "", "Error: --pg-url: PostgreSQL is not offered yet", "as the documents write it"),
    "run submit ./cli-spec.json": (
        1,
        "",
        "Error: run already exists: analysis-run-cli",
        "a sentence, no driver's error",
    ),
    "run submit ./missing.json": (1, "", "Error: No such file or directory: missing.json\n", "the name helps"),
    "run submit ./broken.json": (1, "", "Error: parse run submit spec from broken.json: ", "the name helps"),
    "node status": (
        0,
        '{"local_protocol_version":"0.1.0","mode":"local","peer_protocol_distribution":{},"running":false}\n',
        "",
        "it was recorded after `node up` too, which this kernel does not have",
    ),
    "log head": (0, None, "", "it counts our own events"),
}

#: Commands of rooms that this kernel does not have.
ABSENT: Final = ("task ", "knowledge ", "node up", "node down")

SPEC: Final = {
    "run_id": "analysis-run-cli",
    "agents": [
        {"agent_id": f"analyst-{name}", "prompt": f"Look at {name}.", "executor": "rt"} for name in ("a", "b", "c")
    ],
    "aggregation": {"quorum": 2, "null_policy": {"chain": ["REEXPLORE", "FINALIZE_NULL"]}},
}


def test_every_recorded_command_line_works_with_only_the_programs_name_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], executor_url: str
) -> None:
    """Exit code, standard output and standard error are the kernel's, or what the table says."""
    monkeypatch.chdir(tmp_path)
    Path("cli-spec.json").write_text(json.dumps(SPEC))
    Path("broken.json").write_text("{oops")
    run = _runner(capfd, executor_url)
    run(f"executors add rt {RECORDED_URL}")

    for recorded in map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines()):
        arguments = recorded["arguments"]
        if arguments.startswith(ABSENT):
            continue
        code, stdout, stderr = run(arguments)
        expected = OURS.get(arguments, (recorded["exit"], recorded["stdout"], _stderr(recorded), ""))

        assert expected[0] == code, (arguments, stderr)
        assert stderr.startswith(expected[2]), (arguments, stderr)
        assert expected[2] or not stderr, (arguments, stderr)
        if expected[1] is not None:
            assert _timeless(expected[1]) == _timeless(stdout), arguments


def test_the_documented_list_of_arguments_after_the_subcommand_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every documented line carries `--pg-url`; each is understood, and refused with the same sentence."""
    monkeypatch.chdir(tmp_path)
    run = _runner(capfd, "")
    url = "postgres://postgres:postgres@127.0.0.1:55432/wattswarm"
    lines = [
        f"run init --pg-url {url}",
        f"run submit ./run-spec.json --kickoff --pg-url {url}",
        f"run kickoff analysis-run-001 --pg-url {url}",
        f"run worker --concurrency 16 --pg-url {url}",
        f"run watch analysis-run-001 --pg-url {url}",
        f"run --pg-url {url} result analysis-run-001",
        f"run events analysis-run-001 --limit 3 --pg-url {url}",
        f"run cancel analysis-run-001 --pg-url {url}",
        f"run retry analysis-run-001 --pg-url {url}",
    ]

    answers = {run(line) for line in lines}

    assert len(answers) == 1
    assert all(code == 1 and "PostgreSQL is not offered yet" in stderr for code, _, stderr in answers)
    assert not any("postgres:postgres" in stderr for _, _, stderr in answers)


@pytest.fixture
def executor_url() -> Iterator[str]:
    """A real executor on loopback whose answers differ, so that the recorded run has no quorum."""
    executor = Executor(provider_family="tests", model_id="echo-1")

    @executor.execute("swarm")
    def echo(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"answer": inputs["prompt"]}

    with serve(executor) as server:
        yield server.url


def _runner(capfd: pytest.CaptureFixture[str], url: str) -> Callable[[str], tuple[int, str, str]]:
    def run(arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main(["--state-dir", "state", *shlex.split(arguments.replace(RECORDED_URL, url))])
        except SystemExit as end:
            code = int(end.code or 0)
        said = capfd.readouterr()
        return code, said.out.replace(url, "URL") if url else said.out, said.err

    return run


def _stderr(recorded: dict[str, Any]) -> str:
    """What standard error begins with: for a usage error its first line, since options and names are our own."""
    stderr: str = recorded["stderr"]
    return stderr.partition("\n")[0] if recorded["exit"] == 2 else stderr


def _timeless(text: str) -> str:
    return re.sub(r"\b1[67]\d{11}\b", "0", text)
