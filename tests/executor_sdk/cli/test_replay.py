"""Tests of `executor replay`: recorded requests sent again, and what is said of the answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from executor_sdk.cli import main
from executor_sdk.cli.recordings import RecordingError, differences, fresh, recordings
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.server import serve
from tests.executor_sdk.cli import served
from tests.executor_sdk.cli.test_serve import ask

ROOT = Path(__file__).parents[3]

SERVED = "tests.executor_sdk.cli.served"

Output = pytest.CaptureFixture[str]


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real program, as a shell sees it."""
    return subprocess.run(
        [sys.executable, "-m", "executor_sdk.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def replayed(capsys: Output, path: Path, *options: str, code: int) -> dict[str, Json]:
    """The document of the command."""
    assert main(["replay", str(path), SERVED, "--json", *options]) == code
    document: dict[str, Json] = json.loads(capsys.readouterr().out)
    return document


def done(inputs: Json, answer: str) -> dict[str, Json]:
    """A recording with a candidate."""
    output = {"answer": answer, "confidence": 0.9}
    return {"request": ask("sum", inputs), "status": 200, "answer": {"candidate_output": output}}


def written(path: Path, *documents: Json) -> Path:
    """A file with one document a line."""
    path.write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    return path


def test_what_call_has_printed_is_replayed(tmp_path: Path) -> None:
    """One document after the other, as a shell appends them; a recorded refusal may be the same again."""
    asked = tmp_path / "asked.json"
    asked.write_text(
        program("call", SERVED, "--json").stdout
        + program("call", SERVED, "--json", "--input", '{"amounts": []}').stdout
    )

    ended = program("replay", str(asked), SERVED)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("line 1: same 200\n")
    assert ended.stdout.endswith("2 requests: 2 same\n")


def test_each_line_is_told_what_came_of_it(capsys: Output, tmp_path: Path) -> None:
    """The same, another output with the place, done without a recorded answer, refused, failed."""
    path = written(
        tmp_path / "recorded.jsonl",
        done({"amounts": [1, 2]}, "3.0"),
        done({"amounts": [1, 2]}, "4.0"),
        ask("sum", {"amounts": [5]}),
        done({"amounts": "many"}, "3.0"),
        done({"amounts": []}, "0") | {"status": 422, "answer": {"error": {"code": "INVALID_INPUTS"}}},
        done({"amounts": [1]}, "") | {"status": 422, "answer": {"error": {"code": "NO_AMOUNTS"}}},
        done({}, "3.0") | {"request": ask("busy", {}) | {"profile": "slow"}},
    )

    document = replayed(capsys, path, code=1)

    assert [(one["line"], one["outcome"], one["status"]) for one in document["lines"]] == [
        (1, "same", 200),
        (2, "other", 200),
        (3, "done", 200),
        (4, "refused", 422),
        (5, "refused", 422),
        (6, "other", 200),
        (7, "failed", 503),
    ]
    assert document["lines"][1]["differences"] == ['$.answer: "4.0" → "3.0"']
    assert document["lines"][5]["message"] == "was answered 422, and is done now"
    assert document["totals"] == {"same": 1, "done": 1, "other": 2, "refused": 2, "failed": 1}


def test_people_read_lines(capsys: Output, tmp_path: Path) -> None:
    """With the differences below."""
    path = written(tmp_path / "recorded.jsonl", done({"amounts": [1, 2]}, "4.0"))

    assert main(["replay", str(path), SERVED]) == 1

    assert capsys.readouterr().out == 'line 1: other 200\n  $.answer: "4.0" → "3.0"\n1 request: 1 other\n'


def test_nothing_comes_from_a_ledger_unless_asked(capsys: Output, tmp_path: Path) -> None:
    """Ids are fresh, so the work is done; recorded ids are answered by an executor that knows them, without work."""
    (tmp_path / "gate").touch()
    inputs = {"file": str(tmp_path / "done"), "gate": str(tmp_path / "gate")}
    path = written(tmp_path / "recorded.jsonl", ask("traced", inputs), ask("traced", inputs))

    replayed(capsys, path, code=0)
    assert len((tmp_path / "done").read_text().splitlines()) == 2

    (tmp_path / "done").unlink()
    lines = replayed(capsys, path, "--keep-ids", code=0)["lines"]
    assert {one["execution_id"] for one in lines} == {"exec-traced"}
    assert len((tmp_path / "done").read_text().splitlines()) == 1


def test_a_running_executor_is_replayed_to_by_its_url(capsys: Output, tmp_path: Path) -> None:
    """And an absent one is unreachable, in one sentence."""
    path = written(tmp_path / "recorded.jsonl", ask("sum", {"amounts": [5]}))
    with serve(served.executor) as running:
        assert main(["replay", str(path), running.url]) == 0
    assert main(["replay", str(path), "http://127.0.0.1:9", "--timeout", "2"]) == 3

    assert capsys.readouterr().err.count("Error: ") == 1


def test_fresh_ids_keep_the_task() -> None:
    """Inputs, profile and contract; the attempt's number, which handlers see; and a time to expire that is to come."""
    request = ask("sum", {"agent_id": "analyst-a"})
    request["task_id"] = request["task_contract"]["task_id"] = "run-1-analyst-a-3"
    request["task_contract"]["expiry_ms"] = 5

    again, more = fresh(request), fresh(request)

    assert again["execution_id"] == again["attempt_id"] != more["execution_id"]
    assert again["task_id"] == again["task_contract"]["task_id"] != more["task_id"]
    assert again["task_id"].endswith("-analyst-a-3")
    assert again["task_contract"]["expiry_ms"] > 2**40
    ids = {"execution_id", "attempt_id", "task_id", "task_contract"}
    assert {key: value for key, value in again.items() if key not in ids} == {
        key: value for key, value in request.items() if key not in ids
    }
    assert request["task_id"] == "run-1-analyst-a-3"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, []),
        ({"a": 1}, {"a": 1.0}, ["$.a: 1 → 1.0"]),
        ({"a": 1}, {"a": True}, ["$.a: 1 → true"]),
        ({"a": 1}, {"b": None}, ["$.a: 1 → nothing", "$.b: nothing → null"]),
        ([1, 2], [1], ["$[1]: 2 → nothing"]),
        ("x" * 60, "y", [f'$: "{"x" * 39}… → "y"']),
        (list(range(9)), [], [f"$[{n}]: {n} → nothing" for n in range(5)]),
    ],
)
def test_differences_are_told_by_their_paths(before: Json, after: Json, told: list[str]) -> None:
    """The first five, shortened."""
    assert differences(before, after) == told


def test_documents_may_take_several_lines() -> None:
    """Each has the line in which it begins."""
    body = ask("sum", {})

    found = recordings(f"\n{json.dumps(body, indent=2)}\n{json.dumps({'request': body})}")

    assert [one.line for one in found] == [2, json.dumps(body, indent=2).count("\n") + 3]
    assert [one.request for one in found] == [body, body]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no recording in it"),
        ("\n{", "line 2: no JSON"),
        ("[" * 100_000, "line 1: no JSON: nested too deep"),
        ("[1]", "line 1: expected"),
        ('{"task_type": "sum"}', "line 1: expected"),
        ('{"request": {"task_type": "sum"}}', "line 1: expected"),
        (
            json.dumps(ask("sum", {}) | {"inputs": {"amounts": [2**70]}}),
            "$.inputs.amounts[0] is an integer beyond 64 bits",
        ),
        (json.dumps({"request": ask("sum", {}), "status": "good"}), "line 1: expected"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(text: str, sentence: str) -> None:
    """With the line."""
    with pytest.raises(RecordingError) as told:
        recordings(text)

    assert sentence in str(told.value)


def test_a_file_that_cannot_be_read_is_usage(capsys: Output, tmp_path: Path) -> None:
    """Exit code 2; for programs as a document."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    assert main(["replay", "/no/such/file", SERVED]) == 2
    assert capsys.readouterr().err == "Error: /no/such/file: No such file or directory\n"
    assert main(["replay", str(tmp_path / "bytes"), SERVED, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "USAGE"
