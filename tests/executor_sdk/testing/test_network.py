"""Nothing beyond this machine is reached while the network is forbidden, whichever library tries, in any thread."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
import uvloop

from executor_sdk import in_process
from executor_sdk.testing import RealNetworkError, no_network, serve
from tests.smallest import executor

#: An address for documentation, which nobody has.
ELSEWHERE = "192.0.2.1"

#: A name that cannot exist.
NAME = "nobody.invalid"


async def by_asyncio(host: str) -> None:
    """Open a connection."""
    await asyncio.open_connection(host, 9)


async def by_socket_in_loop(host: str) -> None:
    """Connect a socket of one's own."""
    with socket.socket() as own:
        own.setblocking(False)
        await asyncio.get_running_loop().sock_connect(own, (host, 9))


async def by_look_up(host: str) -> None:
    """Look up, or connect a socket for datagrams."""
    loop = asyncio.get_running_loop()
    if host == NAME:
        await loop.getaddrinfo(host, 9)
    else:
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, 9))


async def by_httpx2(host: str) -> None:
    """Ask with the library that fetches."""
    async with httpx2.AsyncClient() as client:
        await client.get(f"http://{host}:9/")


async def by_aiohttp(host: str) -> None:
    """Ask with the library that calls executors."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:9/"):
        pass


async def in_a_thread(host: str) -> None:
    """Open a connection in a thread."""
    await asyncio.to_thread(socket.create_connection, (host, 9))


def told(error: BaseException) -> bool:
    """Whether the reason stands somewhere in what was raised."""
    inside = [error.__cause__, error.__context__, *(error.exceptions if isinstance(error, BaseExceptionGroup) else ())]
    return isinstance(error, RealNetworkError) or any(told(one) for one in inside if one is not None)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("host", [ELSEWHERE, NAME])
@pytest.mark.parametrize(
    "reach",
    [by_asyncio, by_socket_in_loop, by_look_up, by_httpx2, by_aiohttp, in_a_thread],
    ids=lambda one: one.__name__,
)
def test_no_library_reaches_beyond_this_machine(
    reach: Callable[[str], Any], host: str, run: Callable[[Any], None], no_network: list[str]
) -> None:
    """Neither a number nor a name, in asyncio's own loop and in uvloop."""
    with pytest.raises(BaseException) as raised:
        run(reach(host))

    assert told(raised.value)
    assert no_network
    assert all(attempt.partition(":")[0] == host for attempt in no_network)
    no_network.clear()


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.gethostbyname(NAME),
        lambda: socket.gethostbyaddr(ELSEWHERE),
        lambda: socket.getnameinfo((ELSEWHERE, 9), 0),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (ELSEWHERE, 9)),
        lambda: ThreadPoolExecutor(1).submit(socket.create_connection, (ELSEWHERE, 9)).result(),
    ],
    ids=["name", "address", "reverse", "datagram", "thread"],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_plain_sockets_reach_no_further(reach: Callable[[], Any], no_network: list[str]) -> None:
    """The sentence names the address, the test and what to do."""
    with pytest.raises(RealNetworkError, match=r"test_network\.py::.* wanted to reach (nobody|192).*testing\.serve"):
        reach()
    no_network.clear()


def test_an_attempt_that_was_caught_is_told_at_the_end() -> None:
    """Code under test that swallows every error has still wanted to go out."""

    def careless() -> None:
        with suppress(Exception):
            socket.create_connection((ELSEWHERE, 9))

    with pytest.raises(RealNetworkError, match=rf"{ELSEWHERE}:9"), no_network():
        careless()


def test_an_error_that_hides_an_attempt_has_a_note_of_it() -> None:
    """Code under test that says something else."""
    with pytest.raises(LookupError) as raised, no_network():
        with suppress(OSError):
            socket.create_connection((ELSEWHERE, 9))
        raise LookupError

    assert f"wanted to reach {ELSEWHERE}:9" in raised.value.__notes__[0]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_stays_in_reach(host: str, run: Callable[[Any], None]) -> None:
    """By number and by name, for servers, for clients and for what needs no socket."""

    async def ask() -> None:
        async with httpx2.AsyncClient() as client, aiohttp.ClientSession() as session:
            url = f"http://{host}:{served.port}/health"
            assert (await client.get(url)).status_code == 200
            async with session.get(url) as answer:
                assert answer.status == 200

    with no_network() as attempts, serve(executor) as served:
        run(ask())
        with in_process(executor) as rt:
            assert rt.execute({}).output
    assert attempts == []


def test_the_switch_goes_off_again() -> None:
    """In a process of its own, where no other test has it on; whoever asks for nothing loads nothing."""
    script = f"""
import socket, sys
import executor_sdk.testing.plugin
print("executor_sdk.testing.network" in sys.modules)
from executor_sdk.testing import RealNetworkError, no_network
import uvloop
method = uvloop.Loop.create_connection
def connect():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        try:
            datagrams.connect(({ELSEWHERE!r}, 9))
        except RealNetworkError:
            return "forbidden"
        except OSError:
            pass
    return "free"
with no_network() as attempts:
    print(connect())
    attempts.clear()
print(connect(), uvloop.Loop.create_connection is method)
"""
    root = Path(__file__).resolve().parents[3]
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=root,
        env=os.environ,
    )

    assert (ended.stdout.split(), ended.stderr) == (["False", "forbidden", "free", "True"], "")
