"""Following a run: its events as lines, as they happen, until it ends."""

from __future__ import annotations

from typing import Final

import anyio

from executor_sdk.protocol.plain import Json
from kernel_stub.cli.printing import note
from kernel_stub.rules.records import TERMINAL_RUN, RunStatus
from kernel_stub.runs.commands import RunCommands

#: Seconds between looks; the worker is another process, so nobody can wake us.
_LOOK_EVERY_S: Final = 0.1

#: Characters of an error that a line shows.
_MAX_ERROR: Final = 160

#: What a line shows of a payload, in this order.
_FACTS: Final = ("step_id", "agent_id", "attempt", "status", "error")


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
    aggregation = payload.get("aggregation")
    if isinstance(aggregation, dict) and "final_decision" in aggregation:
        facts.append(f"decision={aggregation['final_decision']} answer={aggregation.get('final_answer')}")
    return f"{since_s:8.3f}s {event['event_type']} {' '.join(facts)}".rstrip()


def _fact(name: str, value: Json) -> str:
    # An error may hold whatever an executor answered: one line, no control characters, not all of it.
    text = "".join(character if character.isprintable() else " " for character in str(value))[:_MAX_ERROR]
    return f"{name}={text}" if name in {"attempt", "error"} else text
