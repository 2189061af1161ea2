"""Two served processes on one ledger, and the trouble they get: stopped, killed, their clocks set forward and back."""

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
from typing import Final

#: A clock jumps by up to so many hours, either way.
JUMP_H: Final = 5.0


@dataclass
class Torture:
    """What is done to the processes, and how often at the most."""

    kills: int
    longest_stop_s: float
    #: Mean of the seconds between two troubles.
    every_s: float


@dataclass
class Processes:
    """Real `executor serve` processes of one application, known by their number."""

    folder: Path
    torture: Torture
    dice: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    #: When each process was killed, by the monotonic clock in nanoseconds.
    killed_ns: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ports: list[int] = []
        self._running: dict[int, asyncio.subprocess.Process] = {}

    @property
    def urls(self) -> list[str]:
        """Where they are; each process keeps its address when it is started again."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    async def start(self, count: int) -> None:
        """Start them, and wait until they answer."""
        for number in range(count):
            with socket.create_server(("127.0.0.1", 0)) as free:
                self._ports.append(free.getsockname()[1])
            self._set_clock(number, 0)
            await self._start(number)
        for port in self._ports:
            await _answers(port)

    async def trouble(self) -> None:
        """Trouble them until cancelled; all run again then."""
        try:
            async with asyncio.TaskGroup() as troubles:
                while True:
                    await asyncio.sleep(self.dice.expovariate(1 / self.torture.every_s))
                    trouble = self.dice.choice((self._stop, self._stop, self._kill, self._jump))
                    troubles.create_task(trouble(self.dice.randrange(len(self._ports))))
        finally:
            for number, process in self._running.items():
                if process.returncode is None:
                    process.send_signal(signal.SIGCONT)
                else:
                    await self._start(number)
            for port in self._ports:
                await _answers(port)

    async def end(self) -> None:
        """Stop them as an operator would, and wait until they have ended."""
        for process in self._running.values():
            if process.returncode is None:
                process.terminate()
        for process in self._running.values():
            try:
                await asyncio.wait_for(process.wait(), 40)
            except TimeoutError:
                process.kill()
                await process.wait()
                self.counts["did not end"] += 1

    async def _stop(self, number: int) -> None:
        """Nothing of the process runs for a while, whatever it was about to do."""
        process = self._running[number]
        if process.returncode is None:
            self.counts["stops"] += 1
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(self.dice.random() ** 2 * self.torture.longest_stop_s)
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)

    async def _kill(self, number: int) -> None:
        process = self._running[number]
        if len(self.killed_ns) < self.torture.kills and process.pid not in self.killed_ns:
            self.killed_ns[process.pid] = time.monotonic_ns()
            process.kill()
            await process.wait()
            await asyncio.sleep(self.dice.random())
            await self._start(number)

    async def _jump(self, number: int) -> None:
        self.counts["jumps"] += 1
        self._set_clock(number, self.dice.uniform(-JUMP_H, JUMP_H) * 3600)

    async def _start(self, number: int) -> None:
        environment = {
            **os.environ,
            "EXECUTOR_LEDGER": str(self.folder / "ledger.sqlite"),
            "SOAK_EFFECTS": str(self.folder / "effects"),
            "SOAK_CLOCK": str(self.folder / f"clock-{number}"),
        }
        command = ["-m", "executor_sdk.cli", "serve", "benchmarks.soaked:executor"]
        listen = ["--listen", f"127.0.0.1:{self._ports[number]}"]
        with (self.folder / f"process-{number}.log").open("ab") as log:
            self._running[number] = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                *listen,
                env=environment,
                cwd=Path(__file__).parent.parent,
                stdout=log,
                stderr=log,
            )

    def _set_clock(self, number: int, ahead_s: float) -> None:
        (self.folder / f"clock-{number}").write_text(f"{ahead_s:+.3f}", encoding="ascii")


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
