"""A request of a handler reaches only where it may, and what it carries reaches only its own host."""

from __future__ import annotations

import gzip
import logging
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

from executor_sdk import FetchError, ReasonCode, Secret, SecretError
from executor_sdk.client.egress import Egress
from executor_sdk.client.web import WebRequest, checked_headers, checked_method, with_params
from executor_sdk.errors import UnfetchableError
from executor_sdk.misuse import MisuseError
from tests.executor_sdk.client.peers import answering, peer

pytestmark = pytest.mark.anyio

HIDDEN = "s3cr3t-value"


async def exchanged(request: WebRequest, **options: Any) -> httpx2.Response:
    """What an egress answers that may go to this machine."""
    egress = Egress(**{"allow_hosts": ["127.0.0.1", "localhost"], **options})
    try:
        with anyio.fail_after(5):
            return await egress.exchange(request)
    finally:
        await egress.aclose()


async def refused(request: WebRequest, **options: Any) -> FetchError:
    """Why there is no answer."""
    with pytest.raises(FetchError) as told:
        await exchanged(request, **options)
    return told.value


async def test_a_request_is_sent_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the value of its secret; the answer is read whole, and of the request it tells no header."""
    monkeypatch.setenv("CRM_TOKEN", HIDDEN)
    headers: dict[str, str | Secret] = {
        "authorization": Secret("env:CRM_TOKEN", "Bearer {}"), "content-type": "application/json",
    }  # fmt: skip
    async with peer(answering("201 Created", b'{"id": 5}', "content-type: application/json")) as (url, got):
        request = WebRequest(method="PUT", url=f"{url}/leads?x=1", headers=headers, content=b'{"name":"a"}')
        response = await exchanged(request)

    assert (response.status_code, response.json(), str(response.url)) == (201, {"id": 5}, f"{url}/leads?x=1")
    head, _, body = got[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert (lines[0], body) == (b"put /leads?x=1 http/1.1", b'{"name":"a"}')
    assert {f"authorization: bearer {HIDDEN}".encode(), b"content-type: application/json"} <= set(lines)
    assert HIDDEN not in f"{response.request.headers} {request}"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_addresses_that_are_not_public_are_refused(method: str) -> None:
    """As a fetch is; nothing is sent."""
    async with peer(answering("200 OK")) as (url, got):
        error = await refused(WebRequest(method=method, url=url, content=b"x"), allow_hosts=[])

    assert (type(error), error.reason, got) == (UnfetchableError, ReasonCode.EVIDENCE_AUTH_DENIED, [])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "artifact://executor/sha256:00", "ftp://x.test/", "no url"])
async def test_only_the_web_is_asked(url: str) -> None:
    """What `task.fetch` may read besides has no requests."""
    assert type(await refused(WebRequest(url=url))) is UnfetchableError


async def test_a_password_in_what_is_no_url_is_not_told() -> None:
    """As where the scheme was forgotten."""
    error = await refused(WebRequest(url=f"user:{HIDDEN}@data.example/rows"))

    assert error.message == "'data.example/rows' is no http or https URL"


async def test_a_redirect_takes_nothing_to_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither secrets nor other headers; to its own host they go again."""
    monkeypatch.setenv("CRM_TOKEN", HIDDEN)
    headers: dict[str, str | Secret] = {"x-key": Secret("env:CRM_TOKEN"), "cookie": "a=1", "traceparent": "t"}
    async with peer(answering("200 OK", b"rows")) as (other, got):
        there = f"http://localhost:{urlsplit(other).port}/there"

        async def script(request: bytes, stream: SocketStream) -> None:
            to = there if request.startswith(b"GET /next") else "/next"
            await answering("302 Found", b"", f"location: {to}")(request, stream)

        async with peer(script) as (url, first):
            response = await exchanged(WebRequest(url=f"{url}/start", headers=headers))

    assert (response.content, str(response.url)) == (b"rows", there)
    assert [HIDDEN.encode() in request for request in first] == [True, True]
    assert not any(part in got[0].lower() for part in (HIDDEN.encode(), b"cookie", b"traceparent", b"x-key"))


async def test_what_another_host_sends_back_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it leads at the first host is that other one's choice, and not the author's."""
    monkeypatch.setenv("CRM_TOKEN", HIDDEN)
    back: list[str] = []

    async def away(request: bytes, stream: SocketStream) -> None:
        await answering("302 Found", b"", f"location: {back[0]}")(request, stream)

    async with peer(away) as (other, _):

        async def script(request: bytes, stream: SocketStream) -> None:
            done = request.startswith(b"GET /chosen")
            answer = answering("200 OK") if done else answering("302 Found", b"", f"location: {other}/")
            await answer(request, stream)

        async with peer(script) as (url, got):
            back.append(f"{url}/chosen")
            await exchanged(WebRequest(url=f"{url}/start", headers={"x-key": Secret("env:CRM_TOKEN")}))

    assert [HIDDEN.encode() in request for request in got] == [True, False]


async def test_no_cookie_goes_from_one_request_to_the_next() -> None:
    """The next one may be another caller's, or for another name at the same address."""
    egress = Egress(allow_hosts=["127.0.0.1"])
    async with peer(answering("200 OK", b"", "set-cookie: session=of-one-caller; path=/")) as (url, got):
        for _ in range(2):
            response = await egress.exchange(WebRequest(url=url))
        await egress.aclose()

    assert response.headers["set-cookie"].startswith("session=")
    assert [b"cookie:" in request.lower() for request in got] == [False, False]


async def test_a_redirect_to_a_forbidden_place_is_not_followed() -> None:
    """By name, as by address."""
    async with peer(answering("200 OK", b"secret")) as (inner, got):
        to = f"http://localhost:{urlsplit(inner).port}/"
        async with peer(answering("302 Found", b"", f"location: {to}")) as (url, _):
            error = await refused(WebRequest(url=url), allow_hosts=["127.0.0.1"])

    assert (error.reason, got) == (ReasonCode.EVIDENCE_AUTH_DENIED, [])


async def test_what_does_something_follows_no_redirect() -> None:
    """Its body would go where nobody sent it; the author may look at the answer."""
    async with peer(answering("307 Temporary Redirect", b"", "location: /next")) as (url, got):
        error = await refused(WebRequest(method="POST", url=url, content=b"x"))
        request = WebRequest(method="POST", url=url, content=b"x", allow_statuses=frozenset({307}))
        response = await exchanged(request)

    assert (type(error), len(got)) == (UnfetchableError, 2)
    assert "only GET and HEAD follow a redirect" in error.message
    assert response.headers["location"] == "/next"


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [("404 Not Found", UnfetchableError, 200), ("401 No", UnfetchableError, 202), ("429 Busy", FetchError, 200),
     ("500 Oh", FetchError, 200), ("504 Late", FetchError, 201)],
)  # fmt: skip
async def test_a_status_is_an_error_unless_it_is_allowed(status: str, kind: type[FetchError], reason: int) -> None:
    """One that may pass, or one that will not."""
    async with peer(answering(status, b"why")) as (url, _):
        error = await refused(WebRequest(url=f"{url}/rows?token={HIDDEN}"))
        number = int(status[:3])
        allowed = await exchanged(WebRequest(url=url, allow_statuses=frozenset({number})))

    assert (type(error), error.reason) == (kind, reason)
    assert HIDDEN not in error.message
    assert (allowed.status_code, allowed.text) == (number, "why")


async def test_answers_are_bounded() -> None:
    """By what the author says, never by more than the executor says; a packed one knows no bound."""
    async with peer(answering("200 OK", b"x" * 100)) as (url, _):
        for max_bytes, limit in ((99, 1_000), (1_000, 99)):
            error = await refused(WebRequest(url=url, max_bytes=max_bytes), max_bytes=limit)
            assert (type(error), "more than 99 bytes" in error.message) == (UnfetchableError, True)
    async with peer(answering("200 OK", gzip.compress(b"x" * 100), "content-encoding: gzip")) as (url, got):
        error = await refused(WebRequest(url=url))

    assert "is packed, although that was not asked for" in error.message
    assert b"accept-encoding: identity" in got[0].lower()


async def test_a_silent_peer_is_waited_for_no_longer_than_said() -> None:
    """The deadline of the task, as it is given here."""

    async def silent(request: bytes, stream: SocketStream) -> None:
        await anyio.sleep_forever()

    async with peer(silent) as (url, _):
        error = await refused(WebRequest(url=url, timeout_s=0.05))

    assert (type(error), error.reason) == (FetchError, ReasonCode.EVIDENCE_TIMEOUT)


async def test_a_secret_that_is_missing_is_told_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And one that is there stands in no log."""
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    caplog.set_level(logging.DEBUG)
    headers: dict[str, str | Secret] = {"authorization": Secret("env:CRM_TOKEN")}
    async with peer(answering("500 Oh")) as (url, got):
        with pytest.raises(SecretError, match="the secret env:CRM_TOKEN is not set, or empty"):
            await exchanged(WebRequest(url=url, headers=headers))
        assert got == []
        monkeypatch.setenv("CRM_TOKEN", HIDDEN)
        error = await refused(WebRequest(url=url, headers=headers))

    assert HIDDEN.encode() in got[0]
    assert HIDDEN not in caplog.text + str(error)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"x y": "v"}, "the name of a header is a word"),
        ({5: "v"}, "the name of a header is a word"),
        ({"Host": "inner.test"}, "the header Host follows from the request itself; leave it out"),
        ({"content-length": "5"}, "leave it out"),
        ({"x-key": f"{HIDDEN}\r\nx: y"}, "the header x-key is one line of ASCII, or a Secret"),
        ({"x-key": f"{HIDDEN}ü"}, "the header x-key is one line of ASCII, or a Secret"),
        ({"x-key": 5}, "the header x-key is one line of ASCII, or a Secret"),
    ],
)
def test_headers_that_no_request_can_carry(headers: Any, sentence: str) -> None:
    """Told without their value."""
    with pytest.raises(MisuseError, match=sentence) as told:
        checked_headers(headers)
    assert HIDDEN not in str(told.value)


def test_what_a_request_is_made_of() -> None:
    """Methods in capitals, names in small letters, and parameters behind those that are there."""
    assert checked_method("patch") == "PATCH"
    assert checked_headers({"X-Key": "v"}) == {"x-key": "v"}
    assert with_params("https://a.test/", None) == "https://a.test/"
    assert (
        with_params("https://a.test/?x=1#part", {"q": "a b&c", "n": [1, 2]})
        == "https://a.test/?x=1&q=a+b%26c&n=1&n=2#part"
    )
    for wrong in ("", "GET /", "CONNECT", "trace"):
        with pytest.raises(MisuseError, match=r"write task\.http\.request\('PUT', url\)"):
            checked_method(wrong)
    with pytest.raises(MisuseError, match="a Secret goes into headers, not into a URL"):
        with_params("https://a.test/", {"key": Secret("env:A")})
    with pytest.raises(MisuseError, match="the URL of a request is text"):
        with_params(None, {})  # type: ignore[arg-type]
