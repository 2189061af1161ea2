"""How the command line reads its arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_stub.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["executors"],
        ["executors", "remove", "demo"],
        ["executors", "add", "demo"],
        ["run", "submit"],
        ["run", "events", "r", "--limit", "-1"],
        ["run", "worker", "--concurrency", "0"],
        ["run", "worker", "--poll-ms", "soon"],
        ["run", "worker", "--conc", "3"],
        ["serve", "--listen", "7788x"],
        ["serve", "--listen", "127.0.0.1:70000"],
        ["serve", "--call-timeout", "nan"],
        ["serve", "--max-connections", "0"],
        ["serve", "--head-timeout", "0"],
    ],
)
def test_wrong_usage_exits_with_2_and_leaves_no_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """The error, the usage and where to read more, on standard error, before anything is opened."""
    state = tmp_path / "state"

    with pytest.raises(SystemExit) as end:
        main(["--state-dir", str(state), *arguments])

    said = capsys.readouterr()
    assert end.value.code == 2
    assert said.err.startswith("error: ")
    assert "\n\nUsage: kernel-stub" in said.err
    assert not said.out
    assert not state.exists()


@pytest.mark.parametrize("name", ["../other.db", "/elsewhere/x.db", "..", ""])
def test_a_store_lives_inside_the_state_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """`--store` is a file's name, as in the kernel; a path could be anybody's file."""
    code = main(["--state-dir", str(tmp_path), "--store", name, "log", "head"])

    assert code == 1
    assert capsys.readouterr().err.startswith("Error: --store is the name of a file inside the state directory")


def test_two_stores_of_one_state_directory_are_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is registered in one is not in the other."""
    arguments = ["--state-dir", str(tmp_path), "--store", "other.db", "executors"]

    assert main([*arguments, "add", "demo", "http://127.0.0.1:1"]) == 0
    assert main([*arguments, "list"]) == 0
    assert main(["--state-dir", str(tmp_path), "executors", "list"]) == 0

    assert capsys.readouterr().out == "executor added: demo (local)\ndemo http://127.0.0.1:1 [local]\n"
    assert (tmp_path / "other.db").exists()
