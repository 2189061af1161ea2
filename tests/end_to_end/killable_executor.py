"""An executor for the kill tests: it keeps its ledger in a file, and a line in another one for each thing it did."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import anyio

from executor_sdk import Executor, Settings, Task

#: Set by the test that starts it.
FOLDER: Final = Path(os.environ.get("KILLABLE_FOLDER", "."))
STEP_S: Final = 0.15

executor = Executor(provider_family="tests", model_id="killable-1", settings=Settings(ledger=FOLDER / "ledger.sqlite3"))


@executor.execute("swarm")
async def act(inputs: dict[str, object], task: Task) -> dict[str, object]:
    """Take a while, then do something to the world that must not happen twice."""
    await anyio.sleep(STEP_S)
    with (FOLDER / "effects").open("a", encoding="utf-8") as effects:
        effects.write(f"{task.step_key} {os.getpid()}\n")
    return {"answer": "yes", "decision": "go"}
