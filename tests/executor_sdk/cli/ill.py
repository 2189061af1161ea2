"""Executors for the tests of `executor doctor`: one that is well, and others that each have one thing wrong."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import sleep as rest
from typing import Annotated, Any, Literal
from urllib import request

import anyio.lowlevel
import anyio.to_thread
from pydantic import AfterValidator, BaseModel, Field

from executor_sdk import Executor, Task


class Ask(BaseModel):
    """What is asked."""

    data_url: str = Field(examples=["https://example.com/rows.csv"])


class Finding(BaseModel):
    """What is found."""

    decision: Literal["GROWTH", "DECLINE"]
    answer: str


class Open(BaseModel):
    """A vocabulary that is not closed."""

    decision: str | None
    answer: str


class Mute(BaseModel):
    """Nothing that a run could use."""

    total: float


class Unsampled(BaseModel):
    """Inputs of a form that the schema alone does not make."""

    region: str = Field(pattern="^[A-Z]{7}$")


class MadeUp(BaseModel):
    """A URL from nowhere."""

    data_url: str


class Pools:
    """What is opened."""


def _crash(value: str) -> str:
    raise KeyError(value)


class Crashing(BaseModel):
    """A validator that raises what is no ValueError."""

    region: Annotated[str, AfterValidator(_crash)]


def fresh(provider_family: str = "northwind", **options: Any) -> Executor:
    """An executor with a model id of its own, whose work ends in time for any container."""
    return Executor(provider_family, "drivers-1", **{"timeout_s": 9, **options})


async def drivers(ask: Ask) -> Finding:
    """Finds nothing, and holds up nothing."""
    await anyio.lowlevel.checkpoint()
    await anyio.to_thread.run_sync(time.sleep, 0)

    def aside() -> None:
        time.sleep(0)

    await anyio.to_thread.run_sync(aside)
    return Finding(decision="GROWTH", answer=ask.data_url)


def of(*functions: Any, **options: Any) -> Executor:
    """An executor that does `functions`."""
    made = fresh(**options)
    for function in functions:
        made.execute("swarm", needs_answer=False)(function)
    return made


well = of(drivers)
empty = fresh()
nameless = of(drivers, provider_family="acme")
wildcard = of(drivers, allow_hosts=("*.internal",))
metadata = of(drivers, allow_hosts=("169.254.169.254:80",))
all_files = of(drivers, file_roots=("/",))

other_task = fresh()
other_task.execute("forecast")(drivers)


async def _open(ask: Ask) -> Open:
    return Open(decision=ask.data_url, answer="")


async def _mute(ask: Ask) -> Mute:
    return Mute(total=len(ask.data_url))


async def _untyped(ask: Ask) -> Any:
    return {"answer": ask.data_url}


async def _unsampled(ask: Unsampled) -> Finding:
    return Finding(decision="GROWTH", answer=ask.region)


async def _made_up(ask: MadeUp) -> Finding:
    return Finding(decision="GROWTH", answer=ask.data_url)


async def _crashing(ask: Crashing) -> Finding:
    return Finding(decision="GROWTH", answer=ask.region)


async def _sleeps(ask: Ask) -> Finding:
    rest(0)  # noqa: ASYNC251 - what is to be found
    return Finding(decision="GROWTH", answer=ask.data_url)


async def _opens(ask: Ask) -> Finding:
    with request.urlopen(ask.data_url) as answer:  # noqa: ASYNC210, S310 - what is to be found
        return Finding(decision="GROWTH", answer=str(answer.status))


async def _starts(ask: Ask) -> Finding:
    subprocess.run(["true"], check=True)  # noqa: ASYNC221 - what is to be found
    os.system("true")  # noqa: ASYNC221, S605 - what is to be found
    return Finding(decision="GROWTH", answer=ask.data_url)


async def _own_time(ask: Ask) -> Finding:
    class Clock:
        """Has a name that looks blocking."""

        def sleep(self, _: float) -> None:
            """Does nothing."""

    time = Clock()
    time.sleep(0)
    return Finding(decision="GROWTH", answer=ask.data_url)


def _deaf(ask: Ask) -> Finding:
    return Finding(decision="GROWTH", answer=ask.data_url)


async def _keeps(ask: Ask, task: Task) -> Finding:
    task.artifact(b"rows", "text/csv")
    return Finding(decision="GROWTH", answer=ask.data_url)


open_vocabulary = of(_open)
mute = of(_mute)
untyped = of(_untyped)
unsampled = of(_unsampled)
made_up = of(_made_up)
crashing = of(_crashing)
sleeps = of(_sleeps)
opens = of(_opens)
starts = of(_starts)
own_time = of(_own_time)
deaf = of(_deaf, timeout_s=31, ledger="unused.sqlite")
forgetful = of(drivers, timeout_s=31)
keeps = of(_keeps)
slow_to_stop = of(drivers, timeout_s=25)


@asynccontextmanager
async def pools() -> AsyncIterator[Pools]:
    """Open."""
    yield Pools()


@asynccontextmanager
async def broken() -> AsyncIterator[Pools]:
    """Fail."""
    int("the database is away")
    yield Pools()


unwatched = of(drivers, lifespan=pools)
watched = of(drivers, lifespan=pools)
watched.health(lambda: True)
not_starting = of(drivers, lifespan=broken)
not_starting.health(lambda: True)


async def mystery(scope: Any, receive: Any, send: Any) -> None:
    """An application that is no executor at all."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
