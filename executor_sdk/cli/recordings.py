"""Recorded requests: how they are read, sent under ids of their own, and how a new answer differs from the old one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final
from uuid import uuid4

from msgspec import Struct

from executor_sdk.client.asks import now_ms
from executor_sdk.protocol.integers import huge_integer
from executor_sdk.protocol.plain import Json, NotJsonError, parse
from executor_sdk.protocol.requests import EXPIRY_AFTER_MS

#: Differences that are told of one answer, and characters of each value in them.
TOLD: Final = 5
SHOWN: Final = 40

_GAP: Final = re.compile(r"\s*")

#: What stands for a key or an item that is not there.
_ABSENT: Final = object()


class RecordingError(ValueError):
    """A file of recordings cannot be used; the message says where and why."""


class Recording(Struct, frozen=True):
    """The body of an `/execute`, from which line it comes, and how it was answered; None where that is unknown."""

    line: int
    request: dict[str, Json]
    status: int | None = None
    answer: Json = None


def recordings(text: str) -> list[Recording]:
    """All recordings in `text`: JSON documents one after the other, one a line or over several lines.

    Each is `{"request": BODY, "status"?: 200, "answer"?: {...}}`, as `executor call --json` prints it, or a bare BODY.

    Raises:
        RecordingError: a document is no JSON or of another shape, or there is none.
    """
    found = [_recording(line, body) for line, body in _documents(text)]
    if not found:
        raise RecordingError("there is no recording in it")
    return found


def fresh(request: Mapping[str, Json]) -> dict[str, Json]:
    """The request as one that was never made: other ids and a new time to expire, so that no ledger knows it.

    What stands behind the last hyphen of the task id stays: it counts the attempts.
    """
    inputs = request["inputs"]
    agent_id = inputs.get("agent_id", "agent") if isinstance(inputs, dict) else "agent"
    attempt = re.search(r"-\d{1,9}$", str(request.get("task_id", "")))
    task_id = f"run-{uuid4().hex[:12]}-{agent_id}{attempt[0] if attempt else '-1'}"
    execution_id = f"exec-p-{uuid4()}"
    contract = {**request["task_contract"], "task_id": task_id}
    if "expiry_ms" in contract:
        contract["expiry_ms"] = now_ms() + EXPIRY_AFTER_MS
    ids = {"task_id": task_id, "execution_id": execution_id, "attempt_id": execution_id, "task_contract": contract}
    return {**request, **ids}


def differences(before: Json, after: Json) -> list[str]:
    """The first places in which two JSON values differ, as `$.rows[0].total: 1 → 2`. 1 and 1.0 are two values."""
    return list(islice(_differences(before, after, "$"), TOLD))


def _documents(text: str) -> Iterator[tuple[int, bytes]]:
    """Each JSON document as its bytes, with the line in which it begins."""
    decoder = json.JSONDecoder()
    line, at = 1, 0
    while True:
        gap = _GAP.match(text, at)
        start = gap.end() if gap else at
        line += text.count("\n", at, start)
        if start == len(text):
            return
        try:
            _, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            told = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
            raise RecordingError(f"line {line}: no JSON: {told}") from None
        yield line, text[start:at].encode()
        line += text.count("\n", start, at)


def _recording(line: int, body: bytes) -> Recording:
    try:
        document = parse(body)
    except NotJsonError as error:
        raise RecordingError(f"line {line}: {error}") from None
    if (found := huge_integer(body)) is not None:
        told = f"${found[0]} is an integer beyond 64 bits, which kernels read as a float"
        raise RecordingError(f"line {line}: {told}; write it as a string")
    whole = document if isinstance(document, dict) and "request" in document else {"request": document}
    request, answer, status = whole["request"], whole.get("answer"), whole.get("status")
    if not _is_body(request) or not isinstance(status, int | None):
        raise RecordingError(
            f'line {line}: expected {{"request": BODY, "status"?: 200, "answer"?: {{...}}}} or a bare BODY of '
            "/execute, with task_type, inputs and task_contract"
        )
    if status is None and isinstance(answer, dict):
        status = 200 if "candidate_output" in answer else None
    return Recording(line, request, status, answer)


def _is_body(request: Json) -> bool:
    return (
        isinstance(request, dict)
        and isinstance(request.get("task_type"), str)
        and isinstance(request.get("task_contract"), dict)
        and "inputs" in request
    )


def _differences(before: Json, after: Json, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from _differences(before.get(key, _ABSENT), after.get(key, _ABSENT), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        for n in range(max(len(before), len(after))):
            yield from _differences(_item(before, n), _item(after, n), f"{path}[{n}]")
    elif type(before) is not type(after) or before != after:
        yield f"{path}: {_shown(before)} → {_shown(after)}"


def _item(values: list[Json], n: int) -> Json:
    return values[n] if n < len(values) else _ABSENT


def _shown(value: Json) -> str:
    if value is _ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
