"""A switch that forbids the real network: while it is on, nothing but this machine can be reached."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

#: What Python's sockets tell of before they do it.
_CONNECTS: Final = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOKS_UP: Final = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}

_INTERNET: Final = {socket.AF_INET, socket.AF_INET6}


class RealNetworkError(OSError):
    """A test wanted to reach what is not on this machine. An OSError, so that libraries clean up behind it."""


#: What was attempted while the network was forbidden, by each block that is open.
_forbidden: Final[list[list[str]]] = []


@contextmanager
def no_network() -> Iterator[list[str]]:
    """Forbid, in all threads of this process, each connection that leaves the machine, and each name but `localhost`.

    An attempt raises RealNetworkError where it is made, and again at the end of the block, because most code under test
    makes another error of it; a test that means to attempt empties the list of attempts that this yields. Not watched
    are child processes, libraries whose sockets are their own in C, and datagrams that uvloop sends unconnected.

    Raises:
        RealNetworkError: with the address, and with the test where pytest runs one.
    """
    _listen()
    attempts: list[str] = []
    with _uvloop_watched():
        _forbidden.append(attempts)
        try:
            yield attempts
        except Exception as error:
            if attempts:
                error.add_note(_sentence(", ".join(dict.fromkeys(attempts))))
            raise
        finally:
            _forbidden[:] = [one for one in _forbidden if one is not attempts]
    if attempts:
        raise RealNetworkError(_sentence(", ".join(dict.fromkeys(attempts))))


@cache
def _listen() -> None:
    """Listen to what Python's sockets tell: no library and no thread can pass by that, as one passes by a patched name.

    Nobody can stop listening, so it begins with the first block, and costs one look at a list when none is open.
    """

    def hear(event: str, given: tuple[Any, ...]) -> None:
        if not _forbidden:
            return
        if event in _CONNECTS and given[0].family in _INTERNET:
            _check(given[1])
        elif event in _LOOKS_UP:
            _check(given[0], may_be_any_number=event == "socket.getaddrinfo")

    sys.addaudithook(hear)


@contextmanager
def _uvloop_watched() -> Iterator[None]:
    """Watch the methods of uvloop that ask libuv, of which Python's sockets hear nothing."""
    try:
        # Loaded here: what loads it later must not pass by.
        from uvloop import Loop
    except ImportError:  # there is none for Windows
        yield
        return
    if _forbidden:
        yield
        return
    loop: Any = Loop
    loop.create_connection = _checked(loop.create_connection, _of_connection)
    loop.create_datagram_endpoint = _checked(loop.create_datagram_endpoint, _of_datagrams)
    loop.getaddrinfo = _checked(loop.getaddrinfo, _of_look_up)
    try:
        yield
    finally:
        for name in ("create_connection", "create_datagram_endpoint", "getaddrinfo"):
            delattr(loop, name)


def _checked(method: Callable[..., Awaitable[Any]], check: Callable[..., None]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def checked(self: object, *given: Any, **named: Any) -> Any:
        check(*given, **named)
        return await method(self, *given, **named)

    return checked


def _of_connection(protocol_factory: object, host: object = None, port: object = None, **_: object) -> None:
    _check((host, port))


def _of_datagrams(protocol_factory: object, local: object = None, remote_addr: object = None, **_: object) -> None:
    _check(remote_addr)


def _of_look_up(host: object, port: object, **_: object) -> None:
    _check(host, may_be_any_number=True)


def _check(address: object, *, may_be_any_number: bool = False) -> None:
    host, *rest = address if isinstance(address, tuple) and address else (address,)
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    if not isinstance(name, str) or _is_here(name, may_be_any_number):
        return
    attempted = ":".join([name, *(str(port) for port in rest[:1])])
    _forbidden[-1].append(attempted)
    raise RealNetworkError(_sentence(attempted))


def _is_here(name: str, may_be_any_number: bool) -> bool:
    """Whether a name or a number means this machine. A look-up of a number asks nobody."""
    number = _number(name.partition("%")[0])
    if number is None:
        return name.lower() in {"localhost", ""}
    return may_be_any_number or number.is_loopback or number.is_unspecified


def _number(name: str) -> IPv4Address | IPv6Address | None:
    try:
        number = ip_address(name)
        return (isinstance(number, IPv6Address) and number.ipv4_mapped) or number
    except ValueError:
        pass
    try:
        # Old forms, as 127.1 and 2130706433, which the operating system takes too.
        return IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def _sentence(attempted: str) -> str:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0] or "this code"
    return (
        f"{test} wanted to reach {attempted}, but may reach nothing beyond this machine; serve what answers in its "
        "place, with executor_sdk.testing.serve(app), or give the bytes to in_process(..., files={uri: bytes})"
    )
