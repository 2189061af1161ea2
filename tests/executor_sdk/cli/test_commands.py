"""Tests of `describe`, `call` and `conformance`: what they print, and their exit codes."""

from __future__ import annotations

import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from executor_sdk.cli import main
from executor_sdk.testing.server import serve
from tests.executor_sdk.cli import served

SERVED = "tests.executor_sdk.cli.served"

NOWHERE = "http://user:secret@127.0.0.1:9"

Output = pytest.CaptureFixture[str]


def test_describe_tells_what_an_application_offers(capsys: Output) -> None:
    """Each handler with its profiles, deadline, and fields; optional ones in brackets."""
    assert main(["describe", SERVED]) == 0

    printed = capsys.readouterr().out
    assert "tests / sums-1: healthy" in printed
    assert "sum (default, 5 s)\n  Adds up amounts.\n" in printed
    assert "inputs: amounts array, [note any]" in printed
    assert "busy (slow, 25 s)" in printed


def test_describe_prints_one_document_for_programs(capsys: Output) -> None:
    """The capabilities as they came."""
    with serve(served.stranger) as running:
        assert main(["describe", running.url, "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {
        "url": running.url,
        "healthy": True,
        "capabilities": served.stranger.capabilities(),
    }


def test_describe_understands_an_executor_that_publishes_no_schema(capsys: Output) -> None:
    """The four fields of the contract are all there is."""
    assert main(["describe", f"{SERVED}:stranger"]) == 0

    assert "task types: swarm\nprofiles: default\n" in capsys.readouterr().out


def test_call_makes_its_inputs_from_the_schema(capsys: Output) -> None:
    """The author's example is sent, and the candidate verified by the same executor."""
    assert main(["call", SERVED, "--verify", "--json"]) == 0

    printed = json.loads(capsys.readouterr().out)
    assert printed["request"]["inputs"] == {"amounts": [1.5, 2.0]}
    assert printed["answer"]["candidate_output"]["answer"] == "3.5"
    assert printed["verdict"]["verification_status"] == "passed"


def test_call_prints_the_answer_for_people(capsys: Output) -> None:
    """Pretty JSON, nothing else."""
    assert main(["call", SERVED, "--input", '{"amounts": [4]}']) == 0

    assert json.loads(capsys.readouterr().out)["candidate_output"]["answer"] == "4.0"


def test_call_prints_what_was_used(capsys: Output) -> None:
    """The metrics that the handler has added up."""
    assert main(["call", f"{SERVED}:counting", "--verify", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["answer"]["metrics"] == {"tokens": {"value": 812, "unit": "token"}}


def test_call_reads_inputs_from_a_file_and_from_standard_input(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`@FILE` and `-`."""
    (tmp_path / "inputs.json").write_bytes(b'{"amounts": [2, 3]}')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"amounts": [7]}')))

    assert main(["call", SERVED, "--input", f"@{tmp_path / 'inputs.json'}"]) == 0
    assert '"answer": "5.0"' in capsys.readouterr().out
    assert main(["call", SERVED, "--input", "-"]) == 0
    assert '"answer": "7.0"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["--input", '{"amounts": "many"}'], 422, "INVALID_INPUTS"),
        (["--input", '{"amounts": []}'], 422, "NO_AMOUNTS"),
        (["--task-type", "busy"], 503, "TRY_LATER"),
        (["--task-type", "unknown"], 404, "UNKNOWN_TASK_TYPE"),
    ],
)
def test_a_refusal_is_judged_bad(capsys: Output, arguments: list[str], status: int, code: str) -> None:
    """With the executor's own error body, and exit code 1."""
    assert main(["call", SERVED, "--verify", *arguments, "--timeout", "5"]) == 1

    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == code
    assert f"/execute answered {status}" in printed.err


def test_a_candidate_that_is_not_passed_is_judged_bad(capsys: Output) -> None:
    """The answer is printed, and the verdict."""
    assert main(["call", f"{SERVED}:failing", "--verify"]) == 1

    assert '"verification_status": "failed"' in capsys.readouterr().out


def test_another_policy_can_be_asked_for(capsys: Output) -> None:
    """One of the three built-in ones."""
    assert main(["call", SERVED, "--verify", "--policy", "vp.crosscheck.v1"]) == 1

    assert "104" in capsys.readouterr().out


def test_conformance_reports_and_passes(capsys: Output, tmp_path: Path) -> None:
    """The kit's own executor conforms; the report is written where it is wanted."""
    assert main(["conformance", SERVED, "--report", str(tmp_path / "report.json")]) == 0

    assert "the executor conforms: 34 of 34" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_bytes())["executor"]["model_id"] == "sums-1"


def test_conformance_judges_what_is_chosen(capsys: Output) -> None:
    """A broken MUST is exit code 1, a warning 0; what was not chosen does not count for the exit code."""
    assert main(["conformance", f"{SERVED}:failing", "--only", "EXC-VERIFY-003"]) == 1
    assert "its own candidate was failed with reason codes [101]" in capsys.readouterr().out
    assert main(["conformance", f"{SERVED}:failing", "--only", "EXC-HEALTH", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["not-tested"] == 33
    assert main(["conformance", f"{SERVED}:warned", "--only", "EXC-VERIFY-006"]) == 0


def test_conformance_takes_samples(tmp_path: Path) -> None:
    """A sample that is refused is a failure, because somebody said that it can be done."""
    path = tmp_path / "samples.json"
    path.write_text('{"samples": [{"task_type": "sum", "inputs": {"amounts": []}}]}')

    assert main(["conformance", SERVED, "--only", "EXC-EXEC-001", "--samples", str(path)]) == 1


def test_the_environment_sets_options_and_is_checked(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """For an application that a command serves meanwhile, as for one that is served for good."""
    monkeypatch.setenv("EXECUTOR_MAX_BODY_BYTES", "100")
    assert main(["call", SERVED, "--input", '{"amounts": [4]}']) == 1
    assert "BODY_TOO_LARGE" in capsys.readouterr().out

    monkeypatch.setenv("EXECUTOR_MAX_BODY_BYTES", "many")
    assert main(["describe", SERVED]) == 2
    assert main(["serve", SERVED]) == 2


def test_the_requirements_can_be_listed(capsys: Output) -> None:
    """Without any executor."""
    assert main(["conformance", "--list"]) == 0
    assert "EXC-LOAD-001    MUST   Saturation is never told as 429 or another 4xx" in capsys.readouterr().out
    assert main(["conformance", "--list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == "EXC-HEALTH-001"


@pytest.mark.parametrize("command", ["describe", "call", "conformance"])
def test_an_absent_executor_is_unreachable(capsys: Output, command: str) -> None:
    """Exit code 3, a sentence, and no secret."""
    assert main([command, NOWHERE, "--timeout", "2"]) == 3

    printed = capsys.readouterr()
    assert printed.err.startswith("Error: ")
    assert "secret" not in printed.err + printed.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["describe", "no.such.module"], "cannot load 'no.such.module'"),
        (["describe", f"{SERVED}:absent"], "has no attribute 'absent'"),
        (["describe", f"{SERVED}:not_callable"], "is a int, not an ASGI application"),
        (["describe", "ftp://example.com"], "must look like http://host:port"),
        (["describe", "http://127.0.0.1:9?token=hidden"], "must end before its query"),
        (["describe"], "name what is to be described"),
        (["describe", SERVED, "--settings"], "--settings shows the options of every executor; leave APP or URL out"),
        (["describe", "tests.executor_sdk.cli.unsigned"], "unsigned.py, line 10)"),
        (["call", SERVED, "--input", "{"], "--input {: no JSON"),
        (["call", SERVED, "--input", "@/no/such/file"], "--input @/no/such/file: No such file or directory\n"),
        (["conformance"], "name what is to be tested"),
        (["conformance", SERVED, "--only", "EXC-NOTHING"], "no requirement begins with 'EXC-NOTHING'"),
        (["conformance", SERVED, "--samples", "/no/such/file"], "/no/such/file"),
        (["serve", SERVED, "--register", "http://127.0.0.1:9"], "belong together"),
        (
            ["conformance", SERVED, "--only", "EXC-HEALTH", "--report", "/no/such/folder/r"],
            "--report /no/such/folder/r",
        ),
        (["serve", SERVED, "--register", "kernel:7788", "--as", "x"], "--register: the base URL must look like"),
        (["serve", SERVED, "--advertise", "nowhere"], "--advertise: the base URL must look like"),
        (["serve", "no.such.module"], "cannot load"),
        (["describe", "app.py"], "name the module, as app:executor"),
        (["describe", "tests.executor_sdk.cli.leaves"], "SystemExit: 5"),
    ],
)
def test_what_cannot_be_carried_out_is_told(capsys: Output, arguments: list[str], sentence: str) -> None:
    """Exit code 2 and one sentence, no traceback."""
    assert main(arguments) == 2

    complaint = capsys.readouterr().err
    assert sentence in complaint
    assert "hidden" not in complaint


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["call"], ["serve", "x", "--listen", "here"], ["call", "x", "--timeout", "0"]]
)
def test_a_command_line_that_cannot_be_read_is_usage(arguments: list[str]) -> None:
    """As argparse ends it."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2


@pytest.mark.parametrize("number", ["9" * 25, "-9223372036854775809", str(2**64)])
def test_call_refuses_integers_that_kernels_would_change(capsys: Output, number: str) -> None:
    """Read as a float they would be another number, and nobody would tell."""
    assert main(["call", SERVED, "--input", f'{{"amounts": [1, {number}]}}']) == 2

    assert "--input: $.amounts[1] is an integer of" in capsys.readouterr().err
    assert main(["call", SERVED, "--input", f'{{"amounts": [{2**64 - 1}]}}']) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "name", "sentence"),
    [
        (["describe", "no.such.module"], 2, "USAGE", "cannot load"),
        (["describe", NOWHERE], 3, "UNREACHABLE", "no connection"),
        (["serve", SERVED, "--as", "x"], 2, "USAGE", "belong together"),
    ],
)
def test_programs_get_an_error_as_a_document(
    capsys: Output, arguments: list[str], code: int, name: str, sentence: str
) -> None:
    """On standard output, where they read what they asked for; nothing on the other stream."""
    assert main([*arguments, "--json"]) == code

    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == name
    assert sentence in json.loads(printed.out)["error"]["message"]
    assert printed.err == ""


def test_programs_get_a_command_line_that_cannot_be_read_as_a_document(capsys: Output) -> None:
    """Exit code 2, as argparse ends it."""
    with pytest.raises(SystemExit) as ended:
        main(["call", "--json"])

    assert ended.value.code == 2
    assert "APP|URL" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_the_versions_are_shown(capsys: Output) -> None:
    """Those of the kit, of Python and of the platform; without a command."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert f"executor-sdk {version('executor-sdk')} (Python: CPython 3." in capsys.readouterr().out

    with pytest.raises(SystemExit):
        main(["--version", "--json"])
    assert json.loads(capsys.readouterr().out).keys() == {"version", "python", "platform"}


def test_every_command_has_an_example(capsys: Output) -> None:
    """In its own help."""
    for command in ("serve", "describe", "call", "conformance", "doctor", "replay"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert f"example: executor {command} " in " ".join(capsys.readouterr().out.split())


def test_other_packages_add_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    """By an entry point in the group `executor_sdk.commands`."""
    (tmp_path / "guest_command.py").write_text(
        "def add(commands):\n    commands.add_parser('greet').set_defaults(run=lambda given: print('hello') or 0)\n"
    )
    info = tmp_path / "guest-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[executor_sdk.commands]\ngreet = guest_command:add\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert main(["greet"]) == 0
    assert capsys.readouterr().out == "hello\n"
