"""What the command line prints: lines, JSON as the kernel prints it, and the events of a run as they happen."""

from __future__ import annotations

import sys
from typing import Final

import anyio
import orjson

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.records import TERMINAL_RUN, RunStatus
from kernel_stub.runs.commands import RunCommands

#: Seconds between looks; the worker is another process, so nobody can wake us.
_LOOK_EVERY_S: Final = 0.1

#: Characters of an error, or of an answer, that a line shows.
_MAX_ERROR: Final = 160

#: What a line shows of a payload, in this order.
_FACTS: Final = ("step_id", "agent_id", "attempt", "status", "error")


def say(line: str) -> None:
    """One line to standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """One line to standard error, at once: progress and complaints, so that standard output stays one document."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def say_json(value: Json, *, sort_keys: bool = False) -> None:
    """A JSON document; maps are sorted where the kernel sorts them."""
    options = orjson.OPT_INDENT_2 | (orjson.OPT_SORT_KEYS if sort_keys else 0)
    say(orjson.dumps(value, option=options).decode())


def say_compact(value: Json) -> None:
    """A JSON document on one line, keys sorted."""
    say(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())


def say_bytes(*lines: bytes) -> None:
    """Lines that were encoded before, as they stand."""
    sys.stdout.buffer.writelines(line + b"\n" for line in lines)
    sys.stdout.buffer.flush()


async def follow(runs: RunCommands, run_id: str) -> int:
    """Show the run's events on standard error until it ends; 0 if it was finalized, 1 if it failed or was cancelled.

    Raises:
        RunNotFoundError: no run has this id.
    """
    seen = 0
    began_ms: int = (await runs.watch(run_id))["created_at"]
    while True:
        # The state first, the events second: the last events are there once the state is terminal.
        status = RunStatus((await runs.watch(run_id))["status"])
        while events := await runs.events_after(run_id, seen):
            for event in events:
                note(progress_line(event, began_ms))
            seen = events[-1]["id"]
        if status in TERMINAL_RUN:
            return 0 if status is RunStatus.FINALIZED else 1
        await anyio.sleep(_LOOK_EVERY_S)


def progress_line(event: dict[str, Json], began_ms: int) -> str:
    """`   1.250s STEP_COMPLETED r:a attempt=1 SUCCEEDED`: seconds since the run was submitted, then what happened."""
    since_s = (event["created_at"] - began_ms) / 1000
    payload = event["payload"] if isinstance(event["payload"], dict) else {}
    facts = [_fact(name, payload[name]) for name in _FACTS if payload.get(name) is not None]
    facts += _sequel(event["created_at"], payload)
    return f"{since_s:8.3f}s {event['event_type']} {' '.join(facts)}".rstrip()


def _sequel(at_ms: int, payload: dict[str, Json]) -> list[str]:
    """What comes of it: another attempt, another round, or the last word."""
    if isinstance(due := payload.get("next_run_at"), int):
        return [f"again in {(due - at_ms) / 1000:g}s"]
    if "reexplore" in payload:
        return [f"{payload.get('path')}, another round: {payload.get('action')}"]
    aggregation = payload.get("aggregation")
    if not isinstance(aggregation, dict):
        return []
    named = {"decision": aggregation.get("final_decision"), "answer": aggregation.get("final_answer")}
    return [f"{bucket}={'null' if value is None else _line(value)}" for bucket, value in named.items()]


def _fact(name: str, value: Json) -> str:
    text = _line(value)
    return f"{name}={text}" if name in {"attempt", "error"} else text


def _line(value: Json) -> str:
    """What an executor said, whatever it is: one line, no control characters, not all of it."""
    return "".join(character if character.isprintable() else " " for character in str(value))[:_MAX_ERROR]
