"""The request path: `/execute` and `/verify` of a typed executor, as ratios to a bare Starlette route in one run.

    python benchmarks/request_path.py [--seconds 1.0] [--rounds 7]

Every request is new work (its own execution id, its own candidate), 16 connections, server and client on a CPU each.
The yardstick, the bare route, is measured before and after each round of the others; a round in which it jumps by more
than a tenth is thrown away, and that is said. `/verify` is measured as most executors have it, by the policy alone, and
with an author's verifier after the policy, which is work of its own that copies may join. The executors are served by
`executor serve`, the bare route by uvicorn, and for comparison another executor by uvicorn, too. The last line is
JSON, with medians of the rounds: `execute_ratio`, `verify_ratio`, `verify_by_author_ratio`, `execute_by_uvicorn_ratio`,
`failed`, `rounds`, `thrown_away`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load import Round, drive, request
from benchmarks.served import ANSWER, served
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.requests import execute_request, propose, sample_contract, verify_request

_INPUTS = {
    "agent_id": "analyst-a",
    "data_url": "https://data.example.com/q3.json",
    "instructions": "Identify the top three revenue drivers and any anomalies.",
    "prompt": "Focus on geographic trends in the revenue data.",
    "topic": "quarterly-revenue-review",
}
_FAR_FUTURE_MS = 4_102_444_800_000


def executions() -> Iterator[bytes]:
    """Requests to `/execute`, each new work of its own."""
    marker = "exec-p-00000000-0000-0000-0000-000000000000"
    contract = sample_contract(
        task_id="run-bench-analyst-a-1", task_type="swarm", inputs=_INPUTS, expiry_ms=_FAR_FUTURE_MS
    )
    template = request("/execute", declared_bytes(execute_request(contract, execution_id=marker)))
    # A distinct task id too: as another attempt of the same step the work could be adopted.
    while True:
        new = str(uuid.uuid4())
        yield template.replace(marker.encode(), f"exec-p-{new}".encode()).replace(
            b"run-bench-analyst-a-1", f"run-{new[:5]}-analyst-a-1".encode()
        )


def _verifications() -> Iterator[bytes]:
    marker = "exec-p-00000000-0000-0000-0000-000000000000"
    contract = sample_contract(task_id="t", task_type="swarm", inputs=_INPUTS, expiry_ms=_FAR_FUTURE_MS)
    candidate = propose(ANSWER, execution_id=marker, producer="bench", created_at=1)
    body = verify_request(
        candidate, output_schema=contract["output_schema"], policy=contract["acceptance"]["verifier_policy"]
    )
    template = request("/verify", declared_bytes(body))
    while True:
        yield template.replace(marker.encode(), f"exec-p-{uuid.uuid4()}".encode())


#: How much the yardstick may differ before and after a round that counts.
MAX_JUMP: Final = 0.1

#: Rounds in which a machine that is busy with something else may try to be still: so many times as were asked for.
PATIENCE: Final = 5


@dataclass
class Rounds:
    """What was measured: requests per second by name, in the rounds that count."""

    per_s: dict[str, list[float]] = field(default_factory=dict)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0
    good: int = 0
    thrown_away: int = 0

    def measure(self, bare: Callable[[], Round], others: dict[str, Callable[[], Round]]) -> None:
        """One round: the yardstick, the others, the yardstick again."""
        before = bare()
        rounds = {name: drive_one() for name, drive_one in others.items()}
        after = bare()
        self.failed += sum(one.failed for one in (before, after, *rounds.values()))
        yardstick = (before.per_s + after.per_s) / 2
        if abs(before.per_s - after.per_s) > MAX_JUMP * yardstick:
            self.thrown_away += 1
            print(f"thrown away: the bare route jumped from {before.per_s:.0f} to {after.per_s:.0f} requests/s")
            return
        self.good += 1
        self.per_s.setdefault("bare", []).append(yardstick)
        for name, one in rounds.items():
            self.per_s.setdefault(name, []).append(one.per_s)
            self.ratios.setdefault(name, []).append(one.per_s / yardstick)


def main() -> None:
    """Measure, print a table and one line of JSON."""
    arguments = argparse.ArgumentParser(description="requests/s of the request path, as ratios to a bare route")
    arguments.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    arguments.add_argument("--rounds", type=int, default=7, help="rounds that count")
    options = arguments.parse_args()
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    rounds = Rounds()
    with (
        served("bare") as (bare, _),
        served("executor", by="executor") as (executor, _),
        served("strict", by="executor") as (strict, _),
        served("plain") as (plain, _),
    ):

        def load(port: int, requests: Callable[[], Iterator[bytes]]) -> Callable[[], Round]:
            return lambda: drive(port, requests, seconds=options.seconds)

        others = {
            "execute": load(executor, executions),
            "verify": load(executor, _verifications),
            "verify by author": load(strict, _verifications),
            "execute by uvicorn": load(plain, executions),
        }
        while rounds.good < options.rounds and rounds.thrown_away < PATIENCE * options.rounds:
            rounds.measure(load(bare, executions), others)
    if not rounds.good:
        raise SystemExit("the machine was never still enough to measure anything")
    ratios = {name: statistics.median(many) for name, many in rounds.ratios.items()}
    for name, many in rounds.per_s.items():
        print(f"{name:18} {statistics.median(many):8.0f} requests/s   {ratios.get(name, 1):.2f} of bare")
    print(
        json.dumps(
            {
                "execute_ratio": round(ratios["execute"], 3),
                "verify_ratio": round(ratios["verify"], 3),
                "verify_by_author_ratio": round(ratios["verify by author"], 3),
                "execute_by_uvicorn_ratio": round(ratios["execute by uvicorn"], 3),
                "failed": rounds.failed,
                "rounds": rounds.good,
                "thrown_away": rounds.thrown_away,
            }
        )
    )


if __name__ == "__main__":
    main()
