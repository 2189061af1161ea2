"""Tests of `executor doctor`: each check finds what is wrong with one executor, and nothing with one that is well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from executor_sdk.cli import main
from executor_sdk.cli.checks import CHECKS
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.server import serve
from tests.executor_sdk.cli import ill

ILL = "tests.executor_sdk.cli.ill"

Output = pytest.CaptureFixture[str]

STOP = ("stop", "advice")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the executors under test are made in a folder of this test."""
    monkeypatch.chdir(tmp_path)


def found(capsys: Output, address: str, code: int) -> dict[tuple[str, str], dict[str, Json]]:
    """Everything that is not fine, by check and level."""
    assert main(["doctor", address, "--json"]) == code
    findings = json.loads(capsys.readouterr().out)["findings"]
    return {(one["check"], one["level"]): one for one in findings if one["level"] != "fine"}


@pytest.mark.parametrize("name", ["well", "own_time", "watched"])
def test_an_executor_that_is_well_has_no_findings(capsys: Output, name: str) -> None:
    """Also where names look as if they blocked, and do not."""
    assert found(capsys, f"{ILL}:{name}", 0) == {}


@pytest.mark.parametrize(
    ("name", "expected", "sentence"),
    [
        ("nameless", {("identity", "advice")}, "provider_family is a name from an example"),
        ("other_task", {("task-type", "advice")}, "there is forecast"),
        ("open_vocabulary", {("vocabulary", "advice")}, "_open: `decision` may be any text"),
        ("mute", {("answer", "advice")}, "_mute: its output has no `answer`"),
        ("untyped", {("answer", "advice")}, "_untyped: its output has no type"),
        ("unsampled", {("sample", "advice")}, "_unsampled: the schema does not tell"),
        ("made_up", {("sample", "advice")}, "`data_url` is a URL"),
        ("unwatched", {("health-check", "advice")}, "no health check"),
        ("deaf", {("thread", "advice"), STOP}, "_deaf is a plain `def`"),
        ("forgetful", {("ledger", "advice"), STOP}, "drivers: the work may outlast"),
        ("keeps", {("artifacts", "advice")}, "_keeps: artifacts are kept in memory"),
        ("slow_to_stop", {STOP}, "up to 25 s"),
        ("wildcard", {("hosts", "advice")}, "*.internal"),
    ],
)
def test_advice_is_given_and_is_no_failure(
    capsys: Output, name: str, expected: set[tuple[str, str]], sentence: str
) -> None:
    """That check alone finds something, with what to do."""
    told = found(capsys, f"{ILL}:{name}", 0)

    assert told.keys() == expected
    assert any(sentence in one["sentence"] and one["mend"] for one in told.values())


@pytest.mark.parametrize(
    ("name", "expected", "sentence"),
    [
        ("empty", {("handlers", "problem"), ("EXC-CAPS-002", "problem")}, "there is no handler"),
        ("crashing", {("sample", "problem")}, "raise KeyError"),
        ("sleeps", {("blocking", "problem")}, "_sleeps is an `async def` and calls rest ("),
        ("opens", {("blocking", "problem")}, "calls request.urlopen ("),
        ("starts", {("blocking", "problem")}, "calls os.system ("),
        ("metadata", {("hosts", "problem")}, "169.254.169.254"),
        ("all_files", {("files", "problem")}, "file_roots has /"),
        ("not_starting", {("start", "problem")}, "did not start"),
    ],
)
def test_a_problem_is_judged_bad(capsys: Output, name: str, expected: set[tuple[str, str]], sentence: str) -> None:
    """Exit code 1, and that check alone."""
    told = found(capsys, f"{ILL}:{name}", 1)

    assert told.keys() == expected
    assert any(sentence in one["sentence"] for one in told.values())


def test_every_check_of_the_table_has_an_executor_that_fails_it() -> None:
    """The tests above name all of them, but that of variables, which is below."""
    here = Path(__file__).read_text()

    assert [check.name for check in CHECKS if f'("{check.name}", "' not in here] == []


def test_what_the_environment_has_is_looked_at(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that means nothing is told by its name; what it holds may be a secret."""
    monkeypatch.setenv("EXECUTOR_TOKEN", "hidden")
    told = found(capsys, f"{ILL}:well", 0)
    assert told.keys() == {("variables", "advice")}
    assert "EXECUTOR_TOKEN" in str(told)
    assert "hidden" not in str(told)

    monkeypatch.delenv("EXECUTOR_TOKEN")
    monkeypatch.setenv("EXECUTOR_THREADS", "none")
    assert found(capsys, f"{ILL}:well", 1).keys() == {("options", "problem")}


@pytest.mark.parametrize(
    ("source", "line"),
    [("import json\n\nraise OSError('away')\n", 3), ("\n\n\nimport no_such_module\n", 4), ("def (:\n", 1)],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_line(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, line: int
) -> None:
    """Where it went wrong, not where it was imported."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"broken_{line}.py").write_text(source)

    told = found(capsys, f"broken_{line}", 1)

    assert told["load", "problem"]["sentence"].count(f"(broken_{line}.py, line {line})") == 1


def test_an_executor_that_runs_is_asked_what_costs_no_work(capsys: Output) -> None:
    """By its URL; a stranger that answers 200 to everything has several problems."""
    with serve(ill.well) as running:
        assert found(capsys, running.url, 0) == {}
    with serve(ill.mystery, lifespan="off") as running:
        told = found(capsys, running.url, 1)

    assert ("EXC-CAPS-001", "problem") in told
    assert ("EXC-ERR-001", "problem") in told


def test_an_absent_executor_is_unreachable(capsys: Output) -> None:
    """Exit code 3, as of every command, and no secret."""
    assert main(["doctor", "http://user:hidden@127.0.0.1:9", "--timeout", "2"]) == 3
    assert "hidden" not in capsys.readouterr().err


def test_people_read_lines(capsys: Output) -> None:
    """What is fine is counted, and shown where it is asked for."""
    assert main(["doctor", f"{ILL}:nameless"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("ADVICE   identity: provider_family")
    assert "         → give Executor(...) a provider_family of your own\n" in printed
    assert "FINE" not in printed

    assert main(["doctor", f"{ILL}:nameless", "--all"]) == 0
    assert "FINE     handlers: there is something to do\n" in capsys.readouterr().out
