"""Addresses to listen on, as they are written, bound and told."""

from __future__ import annotations

import argparse

import pytest

from executor_sdk.serving.addresses import is_private, listen, listen_address, url_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:7788", ("127.0.0.1", 7788)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        (":0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:65535", ("localhost", 65_535)),
    ],
)
def test_an_address_is_read(text: str, expected: tuple[str, int]) -> None:
    """Host and port; no host means loopback."""
    assert listen_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "7788", "host", "host:", "host:-1", "host:65536", "host:\u0663", "1.2.3.4:port", "::1:80", "[::1:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """The port must be one, and an IPv6 host without brackets could be read in two ways."""
    with pytest.raises(argparse.ArgumentTypeError):
        listen_address(text)


def test_a_bare_port_is_read_where_it_is_allowed() -> None:
    """On loopback, as everything that names no host."""
    assert listen_address("8080", bare_port=True) == ("127.0.0.1", 8080)
    with pytest.raises(argparse.ArgumentTypeError):
        listen_address("host", bare_port=True)


@pytest.mark.parametrize(
    ("host", "told", "private"),
    [("127.0.0.1", "127.0.0.1", True), ("::1", "[::1]", True), ("0.0.0.0", "127.0.0.1", False)],
)
def test_a_socket_is_told_as_this_machine_reaches_it(host: str, told: str, private: bool) -> None:
    """The address of every interface is none that anyone could call."""
    with listen(host, 0) as listening:
        assert url_of(listening) == f"http://{told}:{listening.getsockname()[1]}"
        assert is_private(listening) is private
