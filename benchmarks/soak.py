"""The soak: many steps, copies and attempts over two processes on one ledger that are stopped and killed meanwhile.

    python benchmarks/soak.py [--steps 1000] [--copies 5] [--attempts 2] [--seed 1] [--seconds 600]

The caller behaves like the kernel: short timeouts, up to `--copies` copies of the same bytes to either process, the
next attempt while the last one may still ask, and again after the success. Side effects are counted outside, in a
file. A step must have one, or one more for each kill that came between an effect and its record; all who were answered
200 must have the same bytes. In the end some candidates are turned down: their steps must get new work. The last line
is JSON; the exit code is 1 where anything else was seen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.trouble import Effect, Processes, Trouble
from executor_sdk.client.asks import Asked, verify_body
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.requests import execute_request, sample_contract

_FAR_FUTURE_MS: Final = 4_102_444_800_000

#: Steps under way at once, and those whose candidate is turned down in the end: one of so many.
AT_ONCE: Final = 24
TURNED_DOWN: Final = 20


@dataclass
class Step:
    """One step, as its caller sees it."""

    name: str
    task_type: str
    attempt: int = 0
    answers: set[bytes] = field(default_factory=set)
    #: The attempt that was answered 200 last.
    heard: dict[str, Any] | None = None

    def next_attempt(self) -> dict[str, Any]:
        """The request of the next attempt: other ids, the same step."""
        self.attempt += 1
        contract = sample_contract(
            task_id=f"run-soak-{self.name}-{self.attempt}",
            task_type=self.task_type,
            inputs={"agent_id": self.name, "prompt": "once"},
            expiry_ms=_FAR_FUTURE_MS,
        )
        return execute_request(contract, execution_id=f"exec-p-{uuid.uuid4()}")


class Caller:
    """Asks as the kernel does."""

    def __init__(
        self, http: aiohttp.ClientSession, urls: list[str], counts: Counter[str], dice: random.Random, copies: int
    ) -> None:
        self._http = http
        self._urls = urls
        self._counts = counts
        self._dice = dice
        self._copies = copies

    async def take(self, step: Step, attempts: int) -> None:
        """Take a step to its success, with attempts that overlap; then ask for the last again, and for the first."""
        requests = [step.next_attempt() for _ in range(attempts)]
        async with asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(self._attempt(step, request))
                await asyncio.sleep(self._dice.random() * 0.4)
        await self.insist(step)
        await self.insist(step)
        await self._attempt(step, requests[0])

    async def insist(self, step: Step) -> bytes:
        """Attempt until one is answered 200."""
        while True:
            if (answer := await self._attempt(step, step.next_attempt())) is not None:
                return answer
            await asyncio.sleep(self._dice.random() * 0.2)

    async def _attempt(self, step: Step, request: dict[str, Any]) -> bytes | None:
        """Up to so many copies of one request; the bytes of a success."""
        body = declared_bytes(request)
        for copy in range(1, self._copies + 1):
            answered = await self.post("/execute", body, timeout_s=self._dice.uniform(0.05, 0.5))
            if answered is not None:
                if answered[0] != 200:
                    return None
                step.answers.add(answered[1])
                step.heard = request
                return answered[1]
            await asyncio.sleep(copy * 0.05)
        return None

    async def post(self, path: str, body: bytes, *, timeout_s: float) -> tuple[int, bytes] | None:
        """Status and body of the answer, from either process; None if the caller hung up or was hung up on."""
        self._counts["calls"] += 1
        url = self._dice.choice(self._urls) + path
        try:
            async with self._http.post(url, data=body, timeout=aiohttp.ClientTimeout(timeout_s)) as response:
                answer = await response.read()
        except TimeoutError:
            self._counts["hang_ups"] += 1
        except (aiohttp.ClientError, OSError):
            self._counts["no_connection"] += 1
        else:
            code = "" if response.status == 200 else f" {json.loads(answer)['error']['code']}"
            self._counts[f"{response.status}{code}"] += 1
            return response.status, answer
        return None

    async def turn_down(self, step: Step) -> bool:
        """Have the step's candidate judged as no good; whether the next attempt is then new work."""
        assert step.heard is not None  # noqa: S101 - it was taken to its success
        before = next(iter(step.answers))
        judging = verify_body(Asked(step.heard, json.loads(before)), output={"answer": 5})
        judged = await self.post("/verify", declared_bytes(judging), timeout_s=10)
        return judged is not None and not json.loads(judged[1])["passed"] and await self.insist(step) != before


@dataclass
class Found:
    """What is wrong, and what a kill explains."""

    explained: int = 0
    faults: list[str] = field(default_factory=list)

    def judge(self, effects: list[Effect], killed_ns: dict[int, int], states: dict[str, str]) -> None:
        """Every effect of a step but its last must have been cut by a kill before it could be recorded."""
        for effect, following in pairwise(effects):
            at_ns = killed_ns.get(effect.pid, 0)
            state = states.get(effect.execution_id, "FORGOTTEN")
            if effect.at_ns < at_ns < following.at_ns and state == "LOST":
                self.explained += 1
            else:
                killed = "was killed" if at_ns else "was not killed"
                self.faults.append(f"{effect} was done again by {following}; {state}, its process {killed}")


async def soak(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run it; the result, with all that is wrong under `faults`."""
    dice = random.Random(given.seed)  # noqa: S311 - the same trouble each time, as far as a machine can
    counts: Counter[str] = Counter()
    processes = Processes(folder)
    trouble = Trouble(processes, dice, counts, given.kills, given.longest_stop, given.trouble_every)
    steps = [Step(f"a{n}", dice.choice(("waiting", "blocking"))) for n in range(given.steps)]
    found = Found()
    try:
        await processes.start(0)
        await processes.start(1)
        await processes.ready()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.timeout(given.seconds):
            caller = Caller(http, processes.urls, counts, dice, given.copies)
            begun = time.monotonic()
            await _take_all(caller, trouble, steps, given.attempts)
            counts["seconds"] = round(time.monotonic() - begun)
            effects = _by_step(processes.effects())
            for step in steps[::TURNED_DOWN]:
                if not await caller.turn_down(step):
                    found.faults.append(f"{step.name} was turned down and got no new work")
                counts["turned_down"] += 1
    except TimeoutError:
        found.faults.append(f"not over after {given.seconds:g} s")
        effects = _by_step(processes.effects())
    finally:
        if await processes.end():
            found.faults.append("a process did not end when it was told to")
    for step in steps:
        if not effects[step.name]:
            found.faults.append(f"{step.name} was answered and never done")
        found.judge(effects[step.name], processes.killed_ns, _states(folder))
    for step in steps:
        allowed = 2 if step in steps[::TURNED_DOWN] else 1
        if len(step.answers) != allowed:
            found.faults.append(f"{step.name} has {len(step.answers)} different answers")
    after = sum(map(len, _by_step(processes.effects()).values()))
    before = sum(map(len, effects.values()))
    if after - before != counts["turned_down"]:
        found.faults.append(f"{after - before} effects after {counts['turned_down']} candidates were turned down")
    found.faults += [f"{n} answers {status}" for status, n in counts.items() if status[0] in "4" or status[:3] == "500"]
    return {
        "steps": len(steps),
        "effects": before,
        "kills": len(processes.killed_ns),
        **{name.replace(" ", "_"): n for name, n in sorted(counts.items())},
        "doubled_explained": found.explained,
        "doubled_unexplained": before - len(steps) - found.explained,
        "seed": given.seed,
        "faults": found.faults,
    }


async def _take_all(caller: Caller, trouble: Trouble, steps: list[Step], attempts: int) -> None:
    """Take all steps to their success while the processes are in trouble."""
    room = asyncio.Semaphore(AT_ONCE)

    async def take(step: Step) -> None:
        async with room:
            await caller.take(step, attempts)

    troubling = asyncio.create_task(trouble.go_on())
    try:
        await asyncio.gather(*map(take, steps))
    finally:
        troubling.cancel()
        await asyncio.wait([troubling])
    if not troubling.cancelled():
        troubling.result()


def _by_step(effects: list[Effect]) -> dict[str, list[Effect]]:
    by_step: defaultdict[str, list[Effect]] = defaultdict(list)
    for effect in effects:
        by_step[effect.step].append(effect)
    return by_step


def _states(folder: Path) -> dict[str, str]:
    """How the work of each execution id ended, by the ledger."""
    ledger = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return dict(ledger.execute("SELECT name, state FROM asks JOIN works USING (work_id)").fetchall())
    finally:
        ledger.close()


def main() -> int:
    """Soak, print what was seen, and one line of JSON."""
    arguments = argparse.ArgumentParser(description="steps over two processes in trouble: each done once")
    arguments.add_argument("--steps", type=int, default=1000)
    arguments.add_argument("--copies", type=int, default=5)
    arguments.add_argument("--attempts", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=float, default=900, help="give up after this long")
    arguments.add_argument("--kills", type=int, default=60, help="at the most")
    arguments.add_argument("--longest-stop", type=float, default=4.5, help="seconds of a SIGSTOP at the most")
    arguments.add_argument("--trouble-every", type=float, default=0.5, help="mean seconds between two troubles")
    arguments.add_argument("--folder", type=Path, help="where ledger, effects and logs stay; else they are removed")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(soak(given, given.folder or Path(folder)))
    for fault in result.pop("faults")[:50]:
        print(f"fault: {fault}")
        result["faults"] = result.get("faults", 0) + 1
    print(json.dumps(result))
    return 1 if "faults" in result else 0


if __name__ == "__main__":
    sys.exit(main())
