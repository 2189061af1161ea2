"""An executor with a ledger where the environment says, alone and mounted inside other applications."""

from __future__ import annotations

import os
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount

from executor_sdk import Executor

executor = Executor("tests", "ledgered-1", ledger=os.environ["LEDGERED_PATH"])


@executor.execute("swarm")
def act(inputs: dict[str, Any]) -> dict[str, Any]:
    """Do as little as possible."""
    return {"answer": "x"}


mounted = Starlette(routes=[Mount("/agents", executor)], lifespan=executor.lifespan)

#: No lifespan reaches the executor in here.
unheard = Starlette(routes=[Mount("/agents", executor)])
