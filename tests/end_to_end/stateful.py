"""An executor with a state, whose work goes on until a file appears, mounted with its lifespan and without."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.routing import Mount

from executor_sdk import Executor

FOLDER = Path(os.environ["STATEFUL_FOLDER"])


class Pools:
    """A state that tells whether it is open."""

    is_open = True


def say(word: str) -> None:
    """Write down what happens."""
    with (FOLDER / "log").open("a") as log:
        log.write(f"{word}\n")


async def pools() -> AsyncIterator[Pools]:
    """The state, from the start of the process to its end."""
    say("open")
    state = Pools()
    yield state
    state.is_open = False
    say("close")


executor = Executor("tests", "stateful-1", lifespan=pools)


@executor.execute("swarm", linger_s=30)
async def work(inputs: dict[str, Any], pools: Pools) -> dict[str, Any]:
    """Work until the file `go` is there."""
    say("begin")
    while not (FOLDER / "go").exists():
        await anyio.sleep(0.01)
    say("end" if pools.is_open else "end after the close")
    return {"answer": "x"}


mounted = Starlette(routes=[Mount("/agents", executor)], lifespan=executor.lifespan)


async def no_pools() -> AsyncIterator[Pools]:
    """A state that cannot be opened."""
    if not (FOLDER / "database").exists():
        raise ConnectionError("there is no database")
    yield Pools()


stateless = Executor("tests", "stateless-1", lifespan=no_pools)
around_stateless = Starlette(routes=[Mount("/agents", stateless)], lifespan=stateless.lifespan)

#: The first one without a lifespan around it.
unheard = Starlette(routes=[Mount("/agents", executor)])
