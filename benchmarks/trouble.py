"""Served processes on one ledger, and the trouble they get: stopped, killed, their clocks set forward and back."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

#: A clock jumps by up to so many hours, either way.
JUMP_H: Final = 5.0


class Effect(NamedTuple):
    """One side effect, as its handler wrote it down."""

    step: str
    attempt: int
    execution_id: str
    pid: int
    at_ns: int


@dataclass
class Processes:
    """Real `executor serve` processes of `benchmarks.soaked`, known by their number; they share one ledger."""

    folder: Path
    #: When each process was killed, by the monotonic clock in nanoseconds.
    killed_ns: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ports: list[int] = []
        self._running: dict[int, asyncio.subprocess.Process] = {}

    @property
    def urls(self) -> list[str]:
        """Where they are; each process keeps its address when it is started again."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def effects(self) -> list[Effect]:
        """The side effects so far, in their order."""
        file = self.folder / "effects"
        lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
        words = [line.split() for line in lines]
        return [Effect(step, int(attempt), name, int(pid), int(at_ns)) for step, attempt, name, pid, at_ns in words]

    async def start(self, number: int, *, ahead_s: float = 0) -> None:
        """Start one, the next new one or one that was killed, with its clock set; it does not answer at once."""
        if number == len(self._ports):
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._ports.append(free.getsockname()[1])
        self.set_clock(number, ahead_s)
        environment = {
            "EXECUTOR_LEDGER": str(self.folder / "ledger.sqlite"),
            "SOAK_EFFECTS": str(self.folder / "effects"),
            "SOAK_CLOCK": str(self._clock(number)),
        }
        command = ["-m", "executor_sdk.cli", "serve", "benchmarks.soaked:executor"]
        listen = ["--listen", f"127.0.0.1:{self._ports[number]}"]
        with (self.folder / f"process-{number}.log").open("ab") as log:
            self._running[number] = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                *listen,
                env={**os.environ, **environment},
                cwd=Path(__file__).parent.parent,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until all of them answer."""
        for port in self._ports:
            await _answers(port)

    async def stop(self, number: int, seconds: float) -> None:
        """Nothing of the process runs for a while, whatever it was about to do."""
        process = self._running[number]
        if process.returncode is None:
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            self.go_on(number)

    def go_on(self, number: int) -> None:
        """Let a stopped process run."""
        if (process := self._running[number]).returncode is None:
            process.send_signal(signal.SIGCONT)

    async def kill(self, number: int) -> bool:
        """End it without any chance to tidy up; false if it was killed before."""
        process = self._running[number]
        if process.pid in self.killed_ns:
            return False
        self.killed_ns[process.pid] = time.monotonic_ns()
        process.kill()
        await process.wait()
        return True

    def is_running(self, number: int) -> bool:
        """Whether it has not ended."""
        return self._running[number].returncode is None

    def set_clock(self, number: int, ahead_s: float) -> None:
        """Set the wall clock of one, also while it runs."""
        self._clock(number).write_text(f"{ahead_s:.3f}", encoding="ascii")

    async def end(self) -> int:
        """Stop them as an operator would; how many of them did not end."""
        running = [process for process in self._running.values() if process.returncode is None]
        stubborn = 0
        for process in running:
            process.terminate()
        for process in running:
            try:
                await asyncio.wait_for(process.wait(), 40)
            except TimeoutError:
                process.kill()
                await process.wait()
                stubborn += 1
        return stubborn

    def _clock(self, number: int) -> Path:
        return self.folder / f"clock-{number}"


@dataclass
class Trouble:
    """What is done to two processes at random, until it is cancelled; how often is counted."""

    processes: Processes
    dice: random.Random
    counts: Counter[str]
    kills: int
    longest_stop_s: float
    #: Mean of the seconds between two troubles.
    every_s: float

    async def go_on(self) -> None:
        """Trouble them; in the end both run."""
        try:
            async with asyncio.TaskGroup() as troubles:
                while True:
                    await asyncio.sleep(self.dice.expovariate(1 / self.every_s))
                    trouble = self.dice.choice((self._stop, self._stop, self._kill, self._jump))
                    troubles.create_task(trouble(self.dice.randrange(2)))
        finally:
            for number in range(2):
                if self.processes.is_running(number):
                    self.processes.go_on(number)
                else:
                    await self.processes.start(number)
            await self.processes.ready()

    async def _stop(self, number: int) -> None:
        self.counts["stops"] += 1
        await self.processes.stop(number, self.dice.random() ** 2 * self.longest_stop_s)

    async def _kill(self, number: int) -> None:
        if len(self.processes.killed_ns) < self.kills and await self.processes.kill(number):
            await asyncio.sleep(self.dice.random())
            await self.processes.start(number, ahead_s=self._any_time_s())

    async def _jump(self, number: int) -> None:
        self.counts["jumps"] += 1
        self.processes.set_clock(number, self._any_time_s())

    def _any_time_s(self) -> float:
        return self.dice.uniform(-JUMP_H, JUMP_H) * 3600


async def _answers(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit(f"the executor on port {port} did not come up")
