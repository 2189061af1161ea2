"""What the demo tells: one line for each thing that happened, and only what happened."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Final

from relay import Calls, Step

_BOLD, _PLAIN = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
_WIDTH: Final = 118

TIMES: Final = "\N{MULTIPLICATION SIGN}"


def title(text: str) -> None:
    """Begin a part."""
    print(f"\n{_BOLD}{text}{_PLAIN}", flush=True)


def line(text: str) -> None:
    """Say one thing, wrapped under itself."""
    print("\n".join(textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="      ")), flush=True)


def fact(label: str, text: str) -> None:
    """Say what something is."""
    print(f"  {label:<9} {text}", flush=True)


def happened(since_s: float, text: str) -> None:
    """Say when something happened, in seconds since the run was submitted."""
    print(f"  {since_s:6.2f} s  {text}", flush=True)


def told(event: Mapping[str, Any]) -> str:
    """A run event in words."""
    payload = event["payload"]
    step = str(payload.get("step_id", "")).rpartition(":")[2]
    match event["event_type"]:
        case "STEP_CLAIMED":
            return f"{payload['lease_owner']} claims {step}, attempt {payload['attempt']}"
        case "STEP_LEASE_EXPIRED":
            return f"{payload['lease_owner']} resumes {step}, attempt {payload['attempt']}, with the same bytes"
        case "STEP_COMPLETED" | "STEP_RETRY_WAIT" as kind:
            return f"{step} {payload.get('status', kind)}" + (f": {payload['error']}" if payload.get("error") else "")
        case "RUN_NULL_REEXPLORE_TRIGGERED" | "RUN_TIE_REEXPLORE_TRIGGERED":
            return f"{_ballots(payload['aggregation'])}: no agreement; all are told {payload['action']}"
        case "RUN_FINALIZED":
            return f"{_ballots(payload['aggregation'])}: the run is {payload['status']}"
        case other:
            return str(other).replace("_", " ").lower()


def hang_ups(calls: Calls, done: Mapping[Step, int]) -> Iterable[str]:
    """For each step: how often it was asked, how often the caller hung up, how often the work was done."""
    for step in sorted(calls.asked, key=lambda step: (step.round, step.agent_id)):
        yield (
            f"{step.agent_id}, round {step.round}: asked {calls.asked[step]}{TIMES}, "
            f"caller hung up {calls.hung_up[step]}{TIMES}, work done {_times(done.get(step, 0))}"
        )


def _ballots(aggregation: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{bucket} {', '.join(f'{value} {count}' for value, count in aggregation[f'{bucket}_votes'].items())}"
        for bucket in ("decision", "answer")
    )


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number}{TIMES}")
