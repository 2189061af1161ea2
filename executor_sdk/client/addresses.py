"""Which hosts may be fetched from: public addresses, and those that the settings allow by name."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

import anyio

from executor_sdk.errors import FetchError, UnfetchableError
from executor_sdk.protocol.reason_codes import ReasonCode

#: Brings all addresses of a host name; raises OSError.
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

#: IPv6 ranges that carry an IPv4 address in their last 32 bits: NAT64 and its local form, addresses compatible with
#: IPv4 (which no one should use any more), and translated ones.
_CARRIERS: Final = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))


class Guard:
    """Says to which address a connection may go. The answer is an address, so that no second look-up can differ."""

    def __init__(self, allow_hosts: Sequence[str], resolve: Resolve | None = None) -> None:
        self._allowed = [entry.lower() for entry in allow_hosts]
        self._resolve = _resolve if resolve is None else resolve

    async def address(self, host: str, port: int) -> str:
        """The address to connect to.

        Raises:
            FetchError: the host has no address (200).
            UnfetchableError: it has one that is not public while the host is not allowed (202).
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError):  # a name that is none, as one with two dots in a row
            addresses = ()
        if not addresses:
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{host} has no address")
        if not self._is_allowed(host, port) and not all(is_public(address) for address in addresses):
            sentence = f"{host} is not at a public address; the option allow_hosts would let it be fetched from"
            raise UnfetchableError(sentence, ReasonCode.EVIDENCE_AUTH_DENIED)
        return addresses[0]

    def _is_allowed(self, host: str, port: int) -> bool:
        host = host.lower().rstrip(".")
        return any(
            entry in {host, f"{host}:{port}"} or (entry.startswith("*.") and host.endswith(entry[1:]))
            for entry in self._allowed
        )


def is_public(address: str) -> bool:
    """Whether `address` is reachable from anywhere: not private, loopback, link-local, reserved or multicast."""
    try:
        ip = _unwrapped(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    return ip.is_global and not ip.is_multicast


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for: a way around the check otherwise."""
    if isinstance(ip, IPv4Address):
        return ip
    if any(ip in network for network in _CARRIERS):
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
