"""`executor replay FILE APP|URL`: send recorded requests again, and compare the answers with the recorded ones."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

import anyio
from msgspec import Struct, to_builtins

from executor_sdk.cli.applications import reached
from executor_sdk.cli.command import (
    CommandError,
    Commands,
    Exit,
    add_address,
    add_command,
    add_timeout,
    asking,
    pretty,
)
from executor_sdk.cli.recordings import Recording, RecordingError, differences, fresh, recordings
from executor_sdk.cli.terminal import counted, progress, show, show_table
from executor_sdk.client.base_url import masked
from executor_sdk.client.exchange import Answer
from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.errors import ClientError
from executor_sdk.protocol.plain import Json, NotJsonError, parse


class Comparison(StrEnum):
    """What came of a recorded request."""

    SAME = "same"  # the same output, or the same refusal
    DONE = "done"  # it is done, and no answer was recorded
    OTHER = "other"  # another output, or a recorded refusal that is done now
    REFUSED = "refused"  # 4xx: a kernel would not ask again
    FAILED = "failed"  # 5xx, or no answer


_GOOD: Final = {Comparison.SAME, Comparison.DONE}


class Replayed(Struct, frozen=True):
    """What came of one recording; `status` 0 where no answer came."""

    line: int
    outcome: Comparison
    status: int
    execution_id: str
    message: str = ""
    differences: tuple[str, ...] = ()


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "replay",
        run,
        help="send recorded requests again and compare the answers",
        description='FILE holds JSON documents one after the other, each {"request": BODY, "status"?: 200, "answer"?: '
        "{...}} as `executor call --json` prints it, or a bare BODY of /execute, as a kernel sends it. Compared is the "
        "candidate's output; of a refusal, status and code. Requests are sent one by one. Exit code 1 unless every "
        "answer is the same, or done where none was recorded.",
        example="executor replay asked.json app:executor (after: executor call app:executor --json >> asked.json)",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the recorded requests")
    add_address(parser)
    parser.add_argument(
        "--keep-ids", action="store_true",
        help="send the recorded ids: an executor that remembers them answers without working (default: fresh ids)",
    )  # fmt: skip
    add_timeout(parser)


def run(given: argparse.Namespace) -> int:
    """Print what came of each recording, and how many of each kind."""
    try:
        recorded = recordings(given.file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecordingError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CommandError(Exit.USAGE, f"{given.file}: {told}") from None
    with reached(given.address) as base_url, progress("asks the executor", as_json=given.json) as now:
        replayed = anyio.run(_all_sent, base_url, recorded, given, now)
    counts = Counter(one.outcome for one in replayed)
    totals = {str(outcome): counts[outcome] for outcome in Comparison}
    if given.json:
        lines = [to_builtins(one) for one in replayed]
        print(pretty({"address": masked(base_url), "lines": lines, "totals": totals}))
    else:
        _print(replayed)
        show([f"{counted(len(replayed), 'request')}: " + ", ".join(f"{n} {kind}" for kind, n in totals.items() if n)])
    return Exit.GOOD if counts.keys() <= _GOOD else Exit.JUDGED_BAD


async def _all_sent(
    base_url: str, recorded: list[Recording], given: argparse.Namespace, now: Callable[[str], None]
) -> list[Replayed]:
    async with asking(base_url, given.timeout) as client:
        await client.send("GET", "/health")  # nobody there: one sentence, not one for each recording
        replayed = []
        for n, recording in enumerate(recorded, 1):
            now(f"{n} of {len(recorded)}: line {recording.line}")
            replayed.append(await _sent(client, recording, keep_ids=given.keep_ids))
        return replayed


async def _sent(client: ExecutorClient, recording: Recording, *, keep_ids: bool) -> Replayed:
    request = recording.request if keep_ids else fresh(recording.request)
    execution_id = str(request.get("execution_id"))
    try:
        answer = await client.send("POST", "/execute", request)
    except ClientError as error:
        return Replayed(recording.line, Comparison.FAILED, 0, execution_id, error.message)
    return compared(recording, answer, execution_id)


def compared(recording: Recording, answer: Answer, execution_id: str) -> Replayed:
    """The recorded answer beside the new one."""
    content = _content(answer.body)
    line, status = recording.line, answer.status
    was_done = recording.status in (None, 200)
    if status == 200 and "candidate_output" in content:
        if recording.status is None:
            return Replayed(line, Comparison.DONE, status, execution_id)
        if not was_done:
            told = f"was answered {recording.status}, and is done now"
            return Replayed(line, Comparison.OTHER, status, execution_id, told)
        recorded = recording.answer if isinstance(recording.answer, dict) else {}
        found = tuple(differences(recorded.get("candidate_output"), content["candidate_output"]))
        return Replayed(line, Comparison.OTHER if found else Comparison.SAME, status, execution_id, "", found)
    if not was_done and status == recording.status and _code(recording.answer) == _code(content):
        return Replayed(line, Comparison.SAME, status, execution_id, answer.sentence)
    outcome = Comparison.REFUSED if 400 <= status < 500 else Comparison.FAILED
    return Replayed(line, outcome, status, execution_id, answer.sentence)


def _content(body: bytes) -> dict[str, Json]:
    try:
        content = parse(body)
    except NotJsonError:
        return {}
    return content if isinstance(content, dict) else {}


def _code(content: Json) -> Json:
    """The code of our error body; None in any other."""
    error = content.get("error") if isinstance(content, dict) else None
    return error.get("code") if isinstance(error, dict) else None


def _print(replayed: list[Replayed]) -> None:
    rows = [
        (str(one.line), str(one.outcome), str(one.status or ""), "\n".join([one.message, *one.differences]).strip())
        for one in replayed
    ]
    lines = (
        f"line {line}: {outcome} {status}".rstrip() + "".join(f"\n  {part}" for part in said.splitlines())
        for line, outcome, status, said in rows
    )
    show_table(("line", "outcome", "status", "what is different"), rows, lines)
