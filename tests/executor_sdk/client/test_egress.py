"""What a stranger names is fetched only from where it may be, bounded in bytes and time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketStream

from executor_sdk import FetchError, ReasonCode
from executor_sdk.client.addresses import is_public
from executor_sdk.client.egress import Egress
from executor_sdk.errors import UnfetchableError
from executor_sdk.protocol.digests import content_digest
from executor_sdk.protocol.wire import EvidenceRef
from tests.executor_sdk.client.peers import answering, peer

pytestmark = pytest.mark.anyio

UNREACHABLE, TIMEOUT, DENIED, MISMATCH = (ReasonCode(code) for code in (200, 201, 202, 203))


class Names:
    """A resolver that answers as a test says, another answer each time."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.asked: list[str] = []
        self._addresses = {name.replace("_", "."): list(given) for name, given in addresses.items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The next address of `host`."""
        self.asked.append(host)
        given = self._addresses.get(host, [])
        if not given:
            raise OSError(f"no such host: {host}")
        return [given.pop(0)]


async def fetched(uri: str, **options: Any) -> bytes:
    """What an egress with `options` brings."""
    max_bytes = options.pop("limit", None)
    egress = Egress(**options)
    try:
        with anyio.fail_after(5):
            return await egress.fetch(uri, max_bytes=max_bytes)
    finally:
        await egress.aclose()


async def refused(uri: str, **options: Any) -> ReasonCode:
    """Why an egress with `options` brings nothing."""
    with pytest.raises(FetchError) as told:
        await fetched(uri, **options)
    return told.value.reason


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.1.2.3", "169.254.169.254", "192.168.0.1", "0.0.0.0", "[::ffff:127.0.0.1]",
     "[64:ff9b::7f00:1]", "2130706433", "0x7f000001", "127.1"],
)  # fmt: skip
async def test_addresses_that_are_not_public_are_refused(host: str) -> None:
    """However they are written."""
    async with peer(answering("200 OK", b"secret")) as (url, got):
        assert await refused(f"http://{host}:{urlsplit(url).port}/") in {DENIED, UNREACHABLE}

    assert got == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("2002:7f00:1::", False),
        ("2002:a00:1::1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("::127.0.0.1", False),
        ("::10.0.0.1", False),
        ("::ffff:0:7f00:1", False),
        ("no address", False),
    ],
)
def test_what_counts_as_public(address: str, public: bool) -> None:
    """IPv4 inside IPv6 is looked at as the IPv4 that it is."""
    assert is_public(address) is public


async def test_an_allowed_host_is_fetched_from() -> None:
    """By name, by name and port, or by domain; the host header and the path stay."""
    for allowed in ("data.test", "data.test:{port}", "*.test"):
        async with peer(answering("200 OK", b"rows")) as (url, got):
            port = urlsplit(url).port
            data = await fetched(
                f"http://data.test:{port}/q3.csv?x=1#part",
                allow_hosts=[allowed.format(port=port)],
                resolve=Names(data_test=["127.0.0.1"]),
            )

        assert data == b"rows"
        assert got[0].startswith(b"GET /q3.csv?x=1 HTTP/1.1\r\n")
        assert f"host: data.test:{port}\r\n".encode() in got[0].lower()


async def test_the_checked_address_is_the_one_connected_to() -> None:
    """A second look-up, which could answer another address, is never made."""
    names = Names(data_test=["127.0.0.1", "192.0.2.1"])
    async with peer(answering("200 OK", b"rows")) as (url, _):
        await fetched(f"http://data.test:{urlsplit(url).port}/", allow_hosts=["data.test"], resolve=names)

    assert names.asked == ["data.test"]


async def test_redirects_are_checked_again() -> None:
    """A public page must not send us home, nor to a file."""
    for target in ("http://inner.test/", "file:///etc/passwd", "artifact://executor/x"):
        async with peer(answering("302 Found", b"", f"location: {target}")) as (url, _):
            reason = await refused(
                f"http://data.test:{urlsplit(url).port}/",
                allow_hosts=["data.test"],
                resolve=Names(data_test=["127.0.0.1"], inner_test=["10.0.0.1"]),
            )

        assert reason == DENIED


async def test_a_redirect_is_followed_and_an_endless_one_is_not() -> None:
    """Relative ones too."""

    async def script(request: bytes, stream: SocketStream) -> None:
        there = request.startswith(b"GET /there ")
        answer = answering("200 OK", b"rows") if there else answering("302 Found", b"", "location: /there")
        await answer(request, stream)

    async with peer(script) as (url, _):
        assert await fetched(f"{url}/here", allow_hosts=["127.0.0.1"]) == b"rows"
    async with peer(answering("302 Found", b"", "location: /again")) as (url, got):
        assert await refused(f"{url}/again", allow_hosts=["127.0.0.1"]) == UNREACHABLE

    assert len(got) == 6


async def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    """They were given for the first host."""
    async with peer(answering("200 OK", b"rows")) as (other, other_got):
        location = f"location: {other}/".replace("127.0.0.1", "b.test")
        async with peer(answering("302 Found", b"", location)) as (url, got):
            names = Names(a_test=["127.0.0.1"], b_test=["127.0.0.1"])
            await fetched(f"http://user:secret@a.test:{urlsplit(url).port}/", allow_hosts=["*.test"], resolve=names)

    assert b"authorization: basic" in got[0].lower()
    assert b"authorization" not in other_got[0].lower()


@pytest.mark.parametrize(
    ("status", "reason"),
    [("404 Not Found", UNREACHABLE), ("401 Unauthorized", DENIED), ("403 Forbidden", DENIED),
     ("504 Gateway Timeout", TIMEOUT), ("500 Internal Server Error", UNREACHABLE)],
)  # fmt: skip
async def test_an_error_status_becomes_a_reason(status: str, reason: ReasonCode) -> None:
    """As a verdict will say it."""
    async with peer(answering(status)) as (url, _):
        assert await refused(url, allow_hosts=["127.0.0.1"]) == reason


async def test_bytes_and_time_are_bounded() -> None:
    """By the settings, and by the call."""

    async def silent(request: bytes, stream: SocketStream) -> None:
        await anyio.sleep_forever()

    async with peer(answering("200 OK", b"x" * 1000)) as (url, _):
        assert await refused(url, allow_hosts=["127.0.0.1"], max_bytes=999) == UNREACHABLE
        assert await refused(url, allow_hosts=["127.0.0.1"], limit=10) == UNREACHABLE
        assert await fetched(url, allow_hosts=["127.0.0.1"], limit=1000) == b"x" * 1000
    async with peer(silent) as (url, _):
        assert await refused(url, allow_hosts=["127.0.0.1"], timeout_s=0.1) == TIMEOUT


@pytest.mark.parametrize(
    "uri",
    [
        "", "data.csv", "ftp://h/x", "http://", "http://h:0/", "http://h:x/", "gopher://h", "http://[h", "file://[h",
        "http://127.0.0.1/\x01", "http://127.0.0.1/\ud800", "http://\ud800/", "http://127.0.0.1/" + "a" * 70_000,
    ],
)  # fmt: skip
async def test_what_is_no_usable_uri_can_never_be_fetched(uri: str) -> None:
    """Final for a task, inconclusive for a verifier, and never an exception of a library."""
    with pytest.raises(UnfetchableError) as told:
        await fetched(uri, allow_hosts=["127.0.0.1"])

    assert (told.value.status_code, told.value.retryable, told.value.reason) == (422, False, UNREACHABLE)
    assert len(told.value.message) < 300


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        ("404 Not Found", True), ("410 Gone", True), ("403 Forbidden", True), ("429 Too Many Requests", False),
        ("408 Request Timeout", False), ("500 Internal Server Error", False), ("503 Service Unavailable", False),
    ],
)  # fmt: skip
async def test_what_is_not_there_will_not_be_there_later(status: str, is_final: bool) -> None:
    """A 4xx is final for the task, but for those that speak of the moment."""
    async with peer(answering(status, b"")) as (url, _):
        with pytest.raises(FetchError) as told:
            await fetched(url, allow_hosts=["127.0.0.1"])

    assert (told.value.status_code, isinstance(told.value, UnfetchableError)) == (
        (422, True) if is_final else (502, False)
    )


async def test_what_may_not_be_fetched_or_is_too_large_is_final(tmp_path: Path) -> None:
    """Another attempt meets the same guard and the same bytes."""
    (tmp_path / "data.csv").write_bytes(b"x" * 100)
    for uri, options in (
        ("http://127.0.0.1:1/", {}),
        (f"file://{tmp_path}/data.csv", {}),
        (f"file://{tmp_path}/data.csv", {"file_roots": [tmp_path], "limit": 99}),
    ):
        with pytest.raises(UnfetchableError):
            await fetched(uri, **options)


@pytest.mark.parametrize("uri", ["http://a..b/", "http://" + "a" * 70 + ".test/", "http://no.such.host.invalid/"])
async def test_a_name_without_an_address_may_have_one_later(uri: str, no_network: list[str]) -> None:
    """So another attempt is worth it."""
    with pytest.raises(FetchError) as told:
        await fetched(uri)

    assert (told.value.status_code, told.value.reason) == (502, UNREACHABLE)
    # No test asks a real resolver: here every name but one is without an address.
    no_network.clear()


async def test_a_redirect_to_no_usable_url_is_the_fault_of_who_sent_it() -> None:
    """And may be mended by the next attempt."""
    for target in ("http://[h/", "http://h:x/"):
        async with peer(answering("302 Found", b"", f"location: {target}")) as (url, _):
            with pytest.raises(FetchError) as told:
                await fetched(url, allow_hosts=["127.0.0.1"])

        assert (told.value.status_code, told.value.reason) == (502, UNREACHABLE)


async def test_messages_show_neither_credentials_nor_queries() -> None:
    """A signed URL keeps its token in the query."""
    for uri in (
        "http://user:secret@127.0.0.1:1/p?token=hidden",
        "http://127.0.0.1:1?token=hidden",
        "http://127.0.0.1:1#hidden",
        "http://user:sec/ret@127.0.0.1:1/",
        "http:user:secret@127.0.0.1",
        "ftp://user:secret@h/x?token=hidden",
    ):
        with pytest.raises(FetchError) as told:
            await fetched(uri, allow_hosts=["127.0.0.1"])

        assert not any(word in str(told.value) for word in ("secret", "hidden", "sec/ret"))


async def test_files_are_read_from_opened_folders_only(tmp_path: Path) -> None:
    """No dots, no links and no other host lead out of them; what is outside is not even denied differently."""
    root, outside = tmp_path / "root", tmp_path / "outside.txt"
    root.mkdir()
    outside.write_bytes(b"secret")
    (root / "a b.txt").write_bytes(b"rows")
    (root / "link").symlink_to(outside)
    os.mkfifo(root / "pipe")

    assert await fetched(f"file://{root}/a%20b.txt", file_roots=[root]) == b"rows"
    assert await fetched(f"file://localhost{root}/a%20b.txt", file_roots=[root]) == b"rows"
    assert await refused(f"file://{root}/a%20b.txt", file_roots=[root], limit=3) == UNREACHABLE
    assert await refused(f"file://{root}/missing", file_roots=[root]) == UNREACHABLE
    assert await refused(f"file://{root}/pipe", file_roots=[root]) == UNREACHABLE
    assert await refused(f"file://{root}", file_roots=[root]) == UNREACHABLE
    for uri in (f"{root}/../outside.txt", f"{root}/link", f"{outside}", f"{tmp_path}/none", f"{root}/%00"):
        assert await refused(f"file://{uri}", file_roots=[root]) == DENIED
    assert await refused(f"file://elsewhere{root}/a%20b.txt", file_roots=[root]) == DENIED
    assert await refused(f"file://{root}/a%20b.txt") == DENIED


async def test_a_reference_is_checked_against_its_digest() -> None:
    """Kept artifacts come first, whatever their URI says."""
    kept = {f"artifact://executor/{content_digest(b'kept')}": b"kept", "artifact://executor/forged": b"other"}

    def ref(digest: str, uri: str) -> EvidenceRef:
        return EvidenceRef(uri=uri, digest=digest, size_bytes=4, mime="text/csv", created_at=0, producer="p")

    async with peer(answering("200 OK", b"rows")) as (url, _):
        egress = Egress(allow_hosts=["127.0.0.1"], read_artifact=kept.get)
        assert await egress.fetch_ref(ref(content_digest(b"kept"), "https://gone.test/")) == b"kept"
        assert await egress.fetch_ref(ref(content_digest(b"rows"), url)) == b"rows"
        for broken in (ref(content_digest(b"else"), url), ref("forged", url)):
            with pytest.raises(FetchError) as told:
                await egress.fetch_ref(broken)
            assert told.value.reason == MISMATCH
        with pytest.raises(FetchError):
            await egress.fetch("artifact://executor/unknown")
        await egress.aclose()
