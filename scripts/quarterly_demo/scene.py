"""The scene: kernel, executors and workers as real processes, and a relay between them that counts."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
from kernel import KernelApi
from processes import Processes, Started
from relay import Calls, Step, relay
from story import fact, title

from reference_executors.revenue.conclusions import DRAWS
from reference_executors.revenue.lenses import LENSES, first_look
from reference_executors.revenue.sales import Sales, read_sales

#: The documents' run; only the address of its data is another.
SPEC: Final = Path(__file__).resolve().parents[2] / "examples" / "quarterly_revenue" / "run-spec.json"
EXECUTORS: Final = {
    "rt": "reference_executors.analyst:executor",
    "rules": "reference_executors.rule_verifier.executor:executor",
}
#: The command `kernel-stub`, and the command `executor` with the log of the executors shown, to count from.
KERNEL: Final = ("-m", "kernel_stub.cli")
EXECUTOR: Final = (
    "import logging, sys; from executor_sdk.cli import main; logging.basicConfig(level=logging.INFO); sys.exit(main())"
)
LISTEN: Final = ("--listen", "127.0.0.1:0")
#: How long a worker holds a step: what a killed one held is free again so much later.
LEASE_MS: Final = 1_500
#: One look takes about so many times the kernel's patience, so that there is something to hang up on.
CALLS_PER_LOOK: Final = 5.5
LEAST_CALL_S: Final = 0.1
#: How often it asks again within one attempt: enough for a machine that is suddenly much busier.
RESENDS: Final = 8
#: Draws of one timed look, and how many are timed; the fastest says what the machine can do.
TIMED_DRAWS: Final = DRAWS // 5
TIMED_LOOKS: Final = 3

#: What the analyst logs when it begins to look.
_LOOKED: Final = re.compile(r"(\S+) looks at .* by \w+, round (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Scene:
    """What stands when the run begins."""

    processes: Processes
    kernel: KernelApi
    analyst: Started
    calls: Calls
    state: Path
    spec: dict[str, Any]
    call_timeout_s: float

    def worker(self, name: str) -> Started:
        """Start another worker process."""
        options = {
            "--worker-id": name,
            "--lease-ms": str(LEASE_MS),
            "--poll-ms": "50",
            "--call-timeout": f"{self.call_timeout_s:.3f}",
            "--resends": str(RESENDS),
        }
        words = [word for option in options.items() for word in option]
        return self.processes.start(name, *KERNEL, "--state-dir", str(self.state), "run", "worker", *words)

    def works(self) -> Counter[Step]:
        """How often the analyst really began to look, from its own log."""
        looks = _LOOKED.findall(self.analyst.said())
        return Counter(Step(agent.rpartition(":")[2], int(number)) for agent, number in looks)


@asynccontextmanager
async def set_up(processes: Processes, sales: Path, folder: Path) -> AsyncIterator[Scene]:
    """Start everything but the workers, and register the executors."""
    title("Setting up")
    spec, lines, timeout_s = _look_before(sales)
    fact("sales", f"{sales}, {lines} lines")
    state = folder / "kernel"
    serve = processes.start("kernel", *KERNEL, "--state-dir", str(state), "serve", "--no-worker", *LISTEN)
    started = {name: _executor(processes, name, sales.parent, folder) for name in EXECUTORS}
    calls = Calls()
    async with httpx2.AsyncClient(timeout=10) as http, anyio.create_task_group() as background:
        kernel = KernelApi(http, url := await serve.address())
        fact("kernel", f"{url}, process {serve.pid}, embedded SQLite, no worker of its own")
        addresses = {name: await executor.address() for name, executor in started.items()}
        addresses["rt"] = await background.start(relay, addresses["rt"], calls)
        for name, address in addresses.items():
            await kernel.add_executor(name, address)
            fact(name, f"{address}, process {started[name].pid}, {EXECUTORS[name]}")
        fact("patience", f"the kernel hangs up on a call after {timeout_s:.2f} s and sends the same bytes again")
        yield Scene(processes, kernel, started["rt"], calls, state, spec, timeout_s)
        background.cancel_scope.cancel()


def _executor(processes: Processes, name: str, readable: Path, folder: Path) -> Started:
    environment = {
        "EXECUTOR_FILE_ROOTS": str(readable),
        "EXECUTOR_ARTIFACTS_DIR": str(folder / "artifacts"),
    }
    return processes.start(name, "-c", EXECUTOR, "serve", EXECUTORS[name], *LISTEN, environment=environment)


def _look_before(sales: Path) -> tuple[dict[str, Any], int, float]:
    """The spec for this file, its number of lines, and a patience that is too short for this machine's looks."""
    read = read_sales(sales.read_bytes())
    share = min(_timed(read) for _ in range(TIMED_LOOKS))
    look_s = share * (DRAWS / TIMED_DRAWS) * len(LENSES)  # three at once share one interpreter
    spec: dict[str, Any] = json.loads(SPEC.read_text(encoding="utf-8"))
    spec["shared_inputs"]["data_url"] = sales.as_uri()
    return spec, len(read.lines), max(LEAST_CALL_S, look_s / CALLS_PER_LOOK)


def _timed(sales: Sales) -> float:
    began = time.perf_counter()
    first_look(sales, LENSES[0], seed="how fast is this machine?", draws=TIMED_DRAWS)
    return time.perf_counter() - began
