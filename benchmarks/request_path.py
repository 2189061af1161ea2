"""The request path: `/execute` and `/verify` of a typed executor, as ratios to a bare Starlette route in one run.

    python benchmarks/request_path.py [--seconds 1.5] [--rounds 7]

Every request is new work (its own execution id, its own candidate), 16 connections, server and client on a CPU each.
Rounds interleave; medians are compared. `/verify` is measured as most executors have it, by the policy alone, and with
an author's verifier after the policy, which is work of its own that copies may join. The last line is JSON:
`execute_ratio`, `verify_ratio`, `verify_by_author_ratio`, `failed`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

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


def main() -> None:
    """Measure, print a table and one line of JSON."""
    arguments = argparse.ArgumentParser(description="requests/s of the request path, as ratios to a bare route")
    arguments.add_argument("--seconds", type=float, default=1.5, help="length of one round")
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    rounds: dict[str, list[Round]] = {"bare": [], "execute": [], "verify": [], "verify by author": []}
    with served("bare") as bare, served("executor") as executor, served("strict") as strict:
        for _ in range(options.rounds):
            rounds["bare"].append(drive(bare, executions, seconds=options.seconds))
            rounds["execute"].append(drive(executor, executions, seconds=options.seconds))
            rounds["verify"].append(drive(executor, _verifications, seconds=options.seconds))
            rounds["verify by author"].append(drive(strict, _verifications, seconds=options.seconds))
    per_s = {name: statistics.median(r.per_s for r in many) for name, many in rounds.items()}
    failed = sum(r.failed for many in rounds.values() for r in many)
    for name, value in per_s.items():
        print(f"{name:16} {value:8.0f} requests/s   {value / per_s['bare']:.2f} of bare")
    print(
        json.dumps(
            {
                "execute_ratio": round(per_s["execute"] / per_s["bare"], 3),
                "verify_ratio": round(per_s["verify"] / per_s["bare"], 3),
                "verify_by_author_ratio": round(per_s["verify by author"] / per_s["bare"], 3),
                "failed": failed,
            }
        )
    )


if __name__ == "__main__":
    main()
