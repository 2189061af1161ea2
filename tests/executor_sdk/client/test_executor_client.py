"""The client calls as the kernel does: the same bytes again where no answer came, and never after an answer."""

from __future__ import annotations

import gzip
import sys
from typing import Any

import anyio
import httpx2
import orjson
import pytest
from anyio.abc import SocketStream

from executor_sdk import ExecutorClient, ExecutorRefusedError, ExecutorUnreachableError
from executor_sdk.client.base_url import UnusableUrlError, masked, split
from executor_sdk.client.pool import pooled_http
from executor_sdk.testing.server import serve
from tests.executor_sdk.client.peers import answering, peer
from tests.executor_sdk.first_page import executor

pytestmark = pytest.mark.anyio

ANSWER = {"candidate_output": {"answer": "x"}, "evidence_inline": [], "evidence_refs": [], "ours": 1}
CAPABILITIES = {"task_types": ["t"], "profiles": ["p"], "provider_family": "f", "model_id": "m", "more": True}


@pytest.fixture(autouse=True, params=["kernel", "lean"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test with and without what the extra `kernel` brings: nobody should see a difference."""
    if request.param == "lean":
        monkeypatch.setitem(sys.modules, "aiohttp", None)
        monkeypatch.delitem(sys.modules, "executor_sdk.client.aiohttp_pool", raising=False)


def client(url: str, **options: Any) -> ExecutorClient:
    """A client that does not wait between resends."""
    return ExecutorClient(url, **{"resend_wait_ms": 0, **options})


async def test_the_four_calls_bring_plain_json_with_unknown_keys() -> None:
    """What the executor adds is kept."""
    async with peer(answering("200 OK", orjson.dumps(ANSWER))) as (url, got), client(url + "//") as executor:
        assert await executor.execute({"task_id": "t"}) == ANSWER
    assert got[0].startswith(b"POST /execute HTTP/1.1\r\n")
    assert got[0].endswith(b'\r\n\r\n{"task_id":"t"}')

    async with peer(answering("200 OK", orjson.dumps(CAPABILITIES))) as (url, _), client(url) as executor:
        assert await executor.describe() == CAPABILITIES
        assert (await executor.capabilities()).task_types == ["t"]
        await executor.health()


async def test_the_same_bytes_are_sent_again_until_an_answer_comes() -> None:
    """A caller that hangs up has not refused anything."""
    drops = 3

    async def script(request: bytes, stream: SocketStream) -> None:
        if len(got) > drops:
            await answering("200 OK", orjson.dumps(ANSWER))(request, stream)

    async with peer(script) as (url, got), client(url) as executor:
        assert await executor.execute(b'{ "spaced" : 1 }') == ANSWER

    assert len(got) == drops + 1
    assert {request.partition(b"\r\n\r\n")[2] for request in got} == {b'{ "spaced" : 1 }'}


async def test_after_five_sends_without_an_answer_the_executor_counts_as_unreachable() -> None:
    """As many as the kernel's own client makes."""

    async def hang_up(request: bytes, stream: SocketStream) -> None:
        pass

    async with peer(hang_up) as (url, got), client(url) as executor:
        with pytest.raises(ExecutorUnreachableError, match="/execute of http://127") as told:
            await executor.execute({})

    assert len(got) == 5
    assert told.value.timed_out is False
    assert told.value.retryable


async def test_a_slow_executor_is_told_from_an_absent_one() -> None:
    """The time bounds the whole call, also when bytes drip."""

    async def drip(request: bytes, stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        while True:
            await stream.send(b"x")
            await anyio.sleep(0.01)

    async with peer(drip) as (url, got), client(url, timeout_s=0.5, resends=1) as executor:
        with anyio.fail_after(5), pytest.raises(ExecutorUnreachableError, match=r"no answer within 0\.5 s") as told:
            await executor.execute({})

    assert told.value.timed_out
    assert len(got) == 2


async def test_nobody_listening_is_unreachable() -> None:
    """The message names the address."""
    async with client("http://127.0.0.1:1", resends=0) as executor:
        with pytest.raises(ExecutorUnreachableError, match="127"):
            await executor.health()


@pytest.mark.parametrize("status", ["422 Unprocessable Entity", "503 Service Unavailable", "302 Found"])
async def test_an_answer_of_any_status_ends_the_call(status: str) -> None:
    """The error keeps status, phrase and the first 512 characters."""
    body = orjson.dumps({"error": {"code": "NO", "message": "never", "fill": "é" * 1000}})
    async with peer(answering(status, body)) as (url, got), client(url) as executor:
        with pytest.raises(ExecutorRefusedError, match="NO: never") as told:
            await executor.execute({})

    error = told.value
    assert len(got) == 1
    assert f"{error.status} {error.reason_phrase}" == status
    assert error.answer == body.decode()[:512]
    assert error.retryable is not status.startswith("4")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "broke the contract"),
        (b"<html>", "broke the contract"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"candidate_output": 1}', "missing required field `evidence_inline`"),
        (b"[" * 5000 + b"]" * 5000, "broke the contract"),
        (gzip.compress(orjson.dumps(ANSWER)), "broke the contract"),
    ],
)
async def test_a_body_that_breaks_the_contract_is_a_refusal(body: bytes, sentence: str) -> None:
    """With status 200, and the path to what is wrong."""
    async with peer(answering("200 OK", body)) as (url, _), client(url) as executor:
        with pytest.raises(ExecutorRefusedError, match=sentence) as told:
            await executor.execute({})

    assert told.value.status == 200


async def test_an_endless_answer_is_cut() -> None:
    """Memory is bounded by what the client was told to take."""

    async def endless(request: bytes, stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        while True:
            await stream.send(b"x" * 65536)

    async with peer(endless) as (url, _), client(url, max_answer_bytes=100_000) as executor:
        with anyio.fail_after(5), pytest.raises(ExecutorRefusedError, match="more than 100000 bytes"):
            await executor.execute({})


async def test_credentials_in_the_url_go_into_a_header_and_into_no_message() -> None:
    """Basic, percent-decoded."""
    async with peer(answering("403 Forbidden")) as (url, got):
        executor = client(url.replace("http://", "http://ker%40nel:s%3Aecret@"))
        with pytest.raises(ExecutorRefusedError) as told:
            await executor.health()
        await executor.aclose()

    assert "ecret" not in str(told.value) + repr(told.value) + executor.base_url

    assert b"authorization: Basic a2VyQG5lbDpzOmVjcmV0\r\n" in got[0]


async def test_many_clients_share_one_pool() -> None:
    """Closing a client does not close the pool that it was given."""
    async with peer(answering("200 OK")) as (url, got), pooled_http() as http:
        for _ in range(2):
            async with client(url, http=http) as executor:
                await executor.health()

    assert len(got) == 2


async def test_the_client_speaks_to_an_application_without_sockets() -> None:
    """And to a real server the same."""
    async with pooled_http(httpx2.ASGITransport(executor)) as http:
        over_asgi = await ExecutorClient("http://executor.test", http=http).describe()
    with serve(executor) as served:
        async with ExecutorClient(served.url) as real:
            await real.health()
            over_tcp = await real.describe()

    assert over_asgi == over_tcp


@pytest.mark.parametrize("url", ["", "executor:8080", "ftp://host", "http://", "http://host:99999", "http://[::1"])
def test_a_url_that_no_call_can_go_to_is_refused_at_once(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UnusableUrlError):
        ExecutorClient(url)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://host:8080/", "http://host:8080"),
        ("https://host/a/b//", "https://host/a/b"),
        ("http://[::1]:80/", "http://[::1]:80"),
        (" http://Host ", "http://host"),
    ],
)
def test_trailing_slashes_are_trimmed(url: str, base: str) -> None:
    """Before the path is appended."""
    assert split(url).url == base


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:1/p", "http://***@host:1/p"),
        ("http://host/a@b", "http://host/a@b"),
        ("nonsense", "nonsense"),
    ],
)
def test_credentials_are_masked(text: str, shown: str) -> None:
    """For lists and logs."""
    assert masked(text) == shown
