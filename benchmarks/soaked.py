"""The executor that the soak tortures: each start of work leaves one line in a file, and wall time can be made to jump.

`SOAK_EFFECTS` names the file of side effects. Where `SOAK_CLOCK` names another file, wall time is ahead of the real one
by the seconds in there; the monotonic clock is left alone.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from pathlib import Path
from typing import Any, Final

_CLOCK: Final = os.environ.get("SOAK_CLOCK")


def _ahead_s() -> float:
    try:
        return float(Path(_CLOCK or "").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0.0  # the file is being written


if _CLOCK:
    # Before anything else is imported: nothing keeps the real functions then.
    _time, _time_ns = time.time, time.time_ns
    time.time = lambda: _time() + _ahead_s()
    time.time_ns = lambda: _time_ns() + int(_ahead_s() * 1e9)

import anyio  # noqa: E402 - after the clock

from executor_sdk import Executor, Task  # noqa: E402 - after the clock

#: How long a side effect takes at the most, in seconds: the time in which a kill leaves it without a record.
LONGEST_S: Final = 0.2

executor = Executor(provider_family="benchmark", model_id="soaked-1", threads=64)


@executor.execute("waiting")
async def wait(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
    """Do it, and take a while, at an await."""
    answer = _effect(inputs, task)
    await anyio.sleep(_work_s(inputs))
    return answer


@executor.execute("blocking")
def block(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
    """Do it, and take a while, in a thread."""
    answer = _effect(inputs, task)
    time.sleep(_work_s(inputs))
    return answer


@executor.execute("computing")
async def compute(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
    """Do it, and take a while in which the event loop stands still, as nobody should."""
    answer = _effect(inputs, task)
    time.sleep(_work_s(inputs))  # noqa: ASYNC251 - that is the point
    return answer


def _work_s(inputs: dict[str, Any]) -> float:
    """As long as the inputs say, or any time."""
    return float(inputs.get("work_s") or random.random() * LONGEST_S)  # noqa: S311 - no secret


def _effect(inputs: dict[str, Any], task: Task) -> dict[str, Any]:
    """One line, on the disk before anything else happens; the answer is unlike that of any other effect."""
    attempt = task.task_id.rpartition("-")[2]
    line = f"{inputs['agent_id']} {attempt} {task.execution_id} {os.getpid()} {time.monotonic_ns()}\n"
    effects = os.open(os.environ["SOAK_EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(effects, line.encode())
        os.fsync(effects)
    finally:
        os.close(effects)
    return {"answer": uuid.uuid4().hex}
