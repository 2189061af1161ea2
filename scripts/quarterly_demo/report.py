"""What is left when everything has stopped: the decision, the signed log, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processes import DemoError
from story import line, title
from tampering import copy_state, flip_one_bit, log_length, verify_log


def report(result: dict[str, Any], folder: Path, sales: Path) -> None:
    """Tell the decision, verify the log and a tampered copy of it, and say which line to delete."""
    aggregation = result["result"]["aggregation"]
    title("The decision")
    line(f"{result['status']}: {aggregation['final_decision']}, {aggregation['final_answer']}")
    for step in aggregation["steps"]:
        line(f"{step['agent_id']}: {step['conclusion']['summary']}")
    _report_log(folder / "kernel", folder / "copy")
    if repeats := set(_repeats(aggregation["steps"])):
        title("Try next")
        line(f"Delete line {max(repeats)}, the second booking, and run again: the decision changes.")
        deleted = shown(folder.parent / "deleted.csv")
        print(f"      sed {max(repeats)}d {shown(sales)} > {deleted}")
        print(f"      scripts/demo --sales {deleted}")


def shown(path: Path) -> str:
    """The path as a person in this folder would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _report_log(state: Path, copy: Path) -> None:
    title("The signed log")
    good, said = verify_log(state)
    line(f"log verify: {said} ({log_length(state)} events, each hash and signature computed again)")
    if not good:
        raise DemoError("not as promised: the log verifies")
    copy_state(state, copy)
    flipped = flip_one_bit(copy)
    line(f"one bit flipped in a copy, in event {flipped.number}: {flipped.before!r} became {flipped.after!r}")
    good, said = verify_log(copy)
    line(f"log verify of the copy: {said}")
    if good or flipped.kind not in said:
        raise DemoError(f"not as promised: the broken event is named, {flipped.kind}")


def _repeats(steps: list[dict[str, Any]]) -> Iterator[int]:
    for step in steps:
        for anomaly in step["conclusion"]["anomalies"]:
            if anomaly["kind"] == "BOOKED_TWICE":
                yield from anomaly["lines"][1:]
