"""Addresses of a server: how they are written, listened on, and told."""

from __future__ import annotations

import argparse
import socket
from typing import Final

#: The host of an address that names none.
LOOPBACK: Final = "127.0.0.1"

_LOOPBACKS: Final = frozenset({LOOPBACK, "::1"})
_ANY: Final = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - compared, not bound


def listen_address(text: str, *, bare_port: bool = False) -> tuple[str, int]:
    """Read `HOST:PORT`, `[::1]:PORT`, or `:PORT` on loopback, and `PORT` if allowed; port 0 takes a free one.

    Raises:
        argparse.ArgumentTypeError: the text is no such address.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon or bare_port) or not _is_port(port) or (":" in host and not bracketed):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT; an IPv6 host stands in brackets")
    return (host[1:-1] if bracketed else host) or LOOPBACK, int(port)


def listen(host: str, port: int, *, backlog: int = 128) -> socket.socket:
    """A socket that listens already: a client that is told its address may connect at once.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog)


def url_of(listening: socket.socket) -> str:
    """The base URL under which this machine reaches the socket."""
    host, port = listening.getsockname()[:2]
    host = _ANY.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_private(listening: socket.socket) -> bool:
    """Whether only this machine reaches the socket."""
    return listening.getsockname()[0] in _LOOPBACKS


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65_535
