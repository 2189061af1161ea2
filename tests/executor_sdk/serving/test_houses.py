"""What strangers cannot take of a server before they are answered: one contract for the servers of both houses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.executor_sdk.serving.houses import CONNECTIONS, SOON_S, House, answered, running, small

_MIB = 1024 * 1024

HOUSES = ("executor", "kernel")

#: Heads, and what is kept like one, beyond the bounds: each without its end.
TOO_LARGE = {
    "a long path": b"GET /" + b"a" * 40_000,
    "a long value": b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000,
    "a long name": b"GET / HTTP/1.1\r\n" + b"a" * 40_000,
    "many fields": b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 200,
    "many fields at once, and their end": b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 200 + b"\r\n",
    "a large head at once, and its end": b"GET / HTTP/1.1\r\n" + b"a: %b\r\n" % (b"b" * 900) * 40 + b"\r\n",
    "empty lines": b"\r\n" * 20_000,
}

#: What may follow a body in pieces.
TRAILERS = {"many fields": b"a:b\r\n" * 200_000, "a long value": b"x: " + b"a" * _MIB}


@pytest.fixture(scope="module", params=HOUSES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server with few connections and little patience."""
    with small(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.mark.parametrize("head", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_head_beyond_its_bounds_is_refused_and_the_connection_closed(house: House, head: bytes) -> None:
    """431 in the house's own error body, without a wait for the end of the head."""
    with house.connect() as caller:
        caller.sendall(head)
        answer = answered(caller)
        rest = caller.recv(1)

    assert (answer.status, house.error(answer.body)) == (431, "HEAD_TOO_LARGE")
    assert answer.headers["connection"] == "close"
    assert rest == b""


def test_a_large_head_within_its_bounds_is_answered(house: House) -> None:
    """As many fields, and nearly as many bytes, as there may be."""
    fields = b"".join(b"x-%d: %b\r\n" % (n, b"v" * 200) for n in range(127))

    assert house.ask(house.health.removesuffix(b"\r\n") + fields + b"\r\n").status == 200


def test_a_flood_of_tiny_headers_takes_no_memory(house: House) -> None:
    """20 MB of five-byte fields: they would be 500 MB of lists and strings."""
    before = house.rss_bytes()
    with house.connect() as caller:
        caller.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionError):
            for _ in range(20):
                caller.sendall(b"a:b\r\n" * (_MIB // 5))

        assert house.ask(house.health).status == 200
        assert house.rss_bytes() - before < 4 * _MIB


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS)
def test_the_trailer_of_a_body_is_bounded_like_a_head(house: House, trailer: bytes) -> None:
    """The parser keeps it with the head's fields; the request it belongs to is over."""
    before = house.rss_bytes()
    head = house.unfinished.replace(b"content-length: 2", b"transfer-encoding: chunked")
    with house.connect() as caller:
        caller.sendall(head)
        assert answered(caller).status == 100
        caller.sendall(b"1\r\n{\r\n0\r\n")
        with suppress(ConnectionError):
            caller.sendall(trailer)
        answer = answered(caller)

    assert (answer.status, house.error(answer.body)) == (431, "HEAD_TOO_LARGE")
    assert house.rss_bytes() - before < 4 * _MIB


def test_pipelined_requests_are_answered_up_to_a_bound(house: House) -> None:
    """Behind that the connection ends: 50,000 requests at once would be 100 MB of requests that wait."""
    before = house.rss_bytes()
    with house.connect() as caller:
        with suppress(ConnectionError):
            caller.sendall(house.health * 50_000)
        held = house.rss_bytes() - before

    assert held < 4 * _MIB
    with house.connect() as caller:
        caller.sendall(house.health * 16)
        assert [answered(caller).status for _ in range(16)] == [200] * 16
        caller.sendall(house.health * 100)
        statuses = [answered(caller).status for _ in range(18)]
    assert statuses == [200] * 17 + [0]


def test_a_head_that_trickles_is_cut_off(house: House) -> None:
    """A byte now and then keeps nobody busy: 408, and closed."""
    with house.connect() as caller:
        caller.settimeout(0.2)
        answer = None
        for n in range(int(SOON_S / 0.2)):
            with suppress(TimeoutError):
                caller.sendall(house.health[n % 20 : n % 20 + 1])
                answer = answered(caller)
                break

    assert answer is not None, "it still waits"
    assert (answer.status, house.error(answer.body)) == (408, "HEAD_TIMEOUT")


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_that_asks_nothing_is_closed_without_a_word(house: House, sent: bytes) -> None:
    """Nobody waits for an answer there."""
    with house.connect() as caller:
        caller.sendall(sent)

        assert caller.recv(1) == b""


def test_at_the_bound_the_longest_idle_makes_room(house: House) -> None:
    """For the newcomer, who is answered; the others stay."""
    with ExitStack() as stack:
        idle = [_kept_alive(house, stack) for _ in range(CONNECTIONS)]
        newcomer = _kept_alive(house, stack)

        assert idle[0].recv(1) == b""
        for caller in (*idle[1:], newcomer):
            caller.sendall(house.health)
            assert answered(caller).status == 200


def test_when_all_are_busy_the_newcomer_is_told_to_come_back(house: House) -> None:
    """503 with `Retry-After`; whoever is served already goes on."""
    with ExitStack() as stack:
        busy = [_kept_alive(house, stack) for _ in range(CONNECTIONS)]
        for caller in busy:
            caller.sendall(house.unfinished)
            assert answered(caller).status == 100
        refused = house.ask(house.health)
        busy[0].sendall(b"{}")
        served = answered(busy[0])

    assert (refused.status, house.error(refused.body)) == (503, "TOO_MANY_CONNECTIONS")
    assert int(refused.headers["retry-after"]) > 0
    assert served.status in {400, 422}
    assert house.error(served.body) != "TOO_MANY_CONNECTIONS"


@pytest.mark.parametrize("name", HOUSES)
def test_1300_idle_sockets_leave_it_answering(name: str, tmp_path: Path) -> None:
    """In a process that may open 1,024 files, as most may; before, nobody was answered any more."""
    with running(name, tmp_path, files=1_024) as house, ExitStack() as stack:
        for _ in range(1_300):
            stack.enter_context(house.connect())

        assert house.ask(house.health).status == 200
        assert len(list(Path(f"/proc/{house.pid}/fd").iterdir())) < 800


def _kept_alive(house: House, stack: ExitStack) -> socket.socket:
    """A connection that has been answered once: the server has seen it."""
    caller = stack.enter_context(house.connect())
    caller.sendall(house.health)
    assert answered(caller).status == 200
    return caller
