"""Fetching what a stranger names: from public hosts and opened folders only, within bounds of bytes and time."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import anyio
import anyio.to_thread

from executor_sdk.client.addresses import Guard, Resolve
from executor_sdk.client.base_url import basic
from executor_sdk.client.data_uri import data_in, is_data
from executor_sdk.client.web import MAX_SHOWN, WebRequest, check_status, shown, too_large, web_response
from executor_sdk.errors import FetchError, UnfetchableError
from executor_sdk.protocol.digests import content_digest
from executor_sdk.protocol.reason_codes import ReasonCode
from executor_sdk.protocol.wire import EvidenceRef

if TYPE_CHECKING:
    # Loaded with the first page that is fetched: many executors fetch none, and it is a third of their start.
    import httpx2

MAX_REDIRECTS: Final = 5

#: Reads an `artifact://` URI; None for one that the store does not know. Raises FetchError.
ReadArtifact = Callable[[str], bytes | None]

#: Characters of a URL, and those that no request can carry; urlsplit has taken tabs and line ends out.
MAX_URL: Final = 8_192
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

#: Characters of a data URI from which on it is read beside the event loop.
_LARGE_DATA: Final = 64 * 1024

_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


#: Scheme, host and port.
_Origin: TypeAlias = tuple[str, str | None, int | None]


class _Answer(NamedTuple):
    """What came, from where the last redirect led."""

    uri: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Egress:
    """The one way in which handlers and verifiers bring bytes from elsewhere."""

    def __init__(
        self,
        *,
        allow_hosts: Sequence[str] = (),
        file_roots: Sequence[Path] = (),
        timeout_s: float = 20.0,
        max_bytes: int = 64 * 1024 * 1024,
        read_artifact: ReadArtifact | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._guard = Guard(allow_hosts, resolve)
        self._file_roots = [root.resolve() for root in file_roots]
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._read_artifact = read_artifact
        self._http: httpx2.AsyncClient | None = None

    async def fetch(self, uri: str, *, max_bytes: int | None = None) -> bytes:
        """The bytes at an http, https, file, artifact or data URI.

        Raises:
            UnfetchableError: it is no such URI, not there, or too large (200), or not allowed (202).
            FetchError: unreachable (200) or too slow (201).
        """
        limit = self._max_bytes if max_bytes is None else min(max_bytes, self._max_bytes)
        with anyio.move_on_after(self._timeout_s):
            return await self._fetch(uri, limit)
        raise FetchError(ReasonCode.EVIDENCE_TIMEOUT, f"{shown(uri)} did not come within {self._timeout_s:g} s")

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        """The bytes that `ref` names, from the artifact store if it has them.

        Raises:
            FetchError: as `fetch` does, and with 203 when they have another digest.
        """
        kept = self._read_artifact(f"artifact://executor/{ref.digest}") if self._read_artifact else None
        data = await self.fetch(ref.uri) if kept is None else kept
        if content_digest(data) != ref.digest:
            raise FetchError(ReasonCode.EVIDENCE_DIGEST_MISMATCH, f"{shown(ref.uri)} is not what {ref.digest} names")
        return data

    async def exchange(self, request: WebRequest) -> httpx2.Response:
        """The whole answer to a request by http or https, under the guard and the bounds of `fetch`.

        Only GET and HEAD follow a redirect; what the request has in its header fields goes to its own host alone.

        Raises:
            FetchError: as `fetch` does.
            SecretError: a secret is not there.
        """
        if request.url.partition(":")[0].lower() not in _PORTS:
            raise UnfetchableError(f"{shown(request.url)!r} is no http or https URL")
        limit = self._max_bytes if request.max_bytes is None else min(request.max_bytes, self._max_bytes)
        timeout_s = self._timeout_s if request.timeout_s is None else request.timeout_s
        with anyio.move_on_after(timeout_s):
            answer = await self._answer(request, limit)
            return web_response(request, answer.uri, answer.status, answer.headers, answer.body)
        raise FetchError(ReasonCode.EVIDENCE_TIMEOUT, f"{shown(request.url)} did not answer within {timeout_s:.3g} s")

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def _fetch(self, uri: str, limit: int) -> bytes:
        scheme = uri.partition(":")[0].lower()
        if scheme in _PORTS:
            return (await self._answer(WebRequest(url=uri), limit)).body
        if scheme == "file":
            return await anyio.to_thread.run_sync(_read_file, uri, self._file_roots, limit, abandon_on_cancel=True)
        if scheme == "artifact":
            return self._fetch_artifact(uri, limit)
        if is_data(uri):
            if len(uri) < _LARGE_DATA:
                return data_in(uri, limit)
            # Beside the event loop, which a megabyte of %41%41 would stop for a quarter of a second.
            return await anyio.to_thread.run_sync(data_in, uri, limit, abandon_on_cancel=True)
        raise UnfetchableError(f"{shown(uri)!r} is no http, https, file, artifact or data URI")

    def _fetch_artifact(self, uri: str, limit: int) -> bytes:
        data = self._read_artifact(uri) if self._read_artifact else None
        if data is None:
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{shown(uri)} is not kept here")
        if len(data) > limit:
            raise too_large(uri, limit)
        return data

    async def _answer(self, request: WebRequest, limit: int) -> _Answer:
        import httpx2

        uri = request.url
        first: _Origin | None = _origin(_split(uri))
        given: Mapping[str, str] = request.sent_headers()
        for _ in range(MAX_REDIRECTS + 1):
            parts = _split(uri)
            if _origin(parts) != first:
                # What was given for a host goes to no other; nor to a place at that host which another one chooses.
                given, first = {}, None
            headers = given if first is None else {**_basic(parts), **given}
            sent = await self._request(request, parts, headers)
            try:
                response = await self._client().send(sent, stream=True)
                try:
                    status = response.status_code
                    if status not in _REDIRECTS or status in request.allow_statuses:
                        check_status(status, uri, request.allow_statuses)
                        body = await _body(response, uri, limit)
                        return _Answer(uri, status, response.headers.raw, body)
                    if not request.follows:
                        sentence = f"{shown(uri)} answered {status}, and only GET and HEAD follow a redirect"
                        raise UnfetchableError(sentence)
                    uri = _next(uri, response)
                finally:
                    await response.aclose()
            except httpx2.TimeoutException:
                raise FetchError(ReasonCode.EVIDENCE_TIMEOUT, f"{shown(uri)} did not answer in time") from None
            except httpx2.TransportError as error:
                name = type(error).__name__
                raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{shown(uri)} cannot be reached: {name}") from None
        raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{shown(uri)}: more than {MAX_REDIRECTS} redirects")

    async def _request(self, request: WebRequest, parts: SplitResult, given: Mapping[str, str]) -> httpx2.Request:
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        address = await self._guard.address(host, port)
        pinned = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=f"{pinned}:{port}", fragment="").geturl()
        host_field = parts.netloc.rpartition("@")[2]
        headers = {"accept": "*/*", **given, "host": host_field, "accept-encoding": "identity"}
        # The certificate is checked against the name, though the connection goes to the address.
        names = {"sni_hostname": host}
        content = request.content
        return self._client().build_request(request.method, target, headers=headers, content=content, extensions=names)

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            import httpx2

            # No connection is kept: one to an address that two names share must not serve both.
            self._http = httpx2.AsyncClient(
                timeout=None,
                trust_env=False,
                follow_redirects=False,
                limits=httpx2.Limits(max_keepalive_connections=0),
                # Nor is a cookie: it would go with the requests of other tasks, to whatever stands at that address.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return self._http


async def _body(response: httpx2.Response, uri: str, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise too_large(uri, limit)
    return bytes(body)


def _basic(parts: SplitResult) -> dict[str, str]:
    authorization = basic(parts.netloc)
    return {} if authorization is None else {"authorization": authorization}


def _next(uri: str, response: httpx2.Response) -> str:
    try:
        target = urljoin(uri, response.headers.get("location", ""))
        if target.partition(":")[0].lower() in _PORTS:
            _split(target)
            return target
    except (ValueError, UnfetchableError):
        # That is the fault of who sends us there, and may be mended by the next attempt.
        raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{shown(uri)} sends us to no usable URL") from None
    sentence = f"{shown(uri)} sends us to {shown(target)}, which is no web page"
    raise FetchError(ReasonCode.EVIDENCE_AUTH_DENIED, sentence)


def _split(uri: str) -> SplitResult:
    try:
        uri.encode()
        parts = urlsplit(uri)
        is_sendable = len(uri) <= MAX_URL and not _CONTROL.search(parts.geturl())
        if is_sendable and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:
        pass
    # What is no URL may have its password anywhere before the last @.
    raise UnfetchableError(f"{shown(uri.rpartition('@')[2])!r} is no usable URL")


def _origin(parts: SplitResult) -> _Origin:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _read_file(uri: str, roots: Sequence[Path], limit: int) -> bytes:
    """The bytes of a regular file under one of `roots`; outside of them nobody learns what exists."""
    path, uri = _path_within(uri, roots), uri[:MAX_SHOWN]
    try:
        # The resolved path has no links left; one put there since is not followed, and no pipe holds us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"no file is at {uri}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{uri} is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise too_large(uri, limit)
    return data


def _path_within(uri: str, roots: Sequence[Path]) -> Path:
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise UnfetchableError(f"{uri[:MAX_SHOWN]} is no usable URL") from None
    try:
        path = Path(unquote(parts.path)).resolve()
    except (OSError, ValueError, RuntimeError):  # a loop of links, a null byte
        path = Path()
    if parts.netloc not in {"", "localhost"} or not any(path.is_relative_to(root) for root in roots):
        sentence = f"{uri[:MAX_SHOWN]} is in no folder that may be read; the option file_roots would open one"
        raise UnfetchableError(sentence, ReasonCode.EVIDENCE_AUTH_DENIED)
    return path
