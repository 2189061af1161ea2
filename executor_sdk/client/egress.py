"""Fetching what a stranger names: from public hosts and opened folders only, within bounds of bytes and time."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import anyio
import anyio.to_thread

from executor_sdk.client.addresses import Guard, Resolve
from executor_sdk.client.base_url import basic
from executor_sdk.client.data_uri import data_in, is_data
from executor_sdk.errors import MOMENTARY, FetchError, UnfetchableError
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

#: Characters of a URI that a message shows.
_MAX_SHOWN: Final = 200

#: Where the part of a URI begins that may hold a token.
_SECRET: Final = re.compile("[?#]")

_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REASONS: Final = dict.fromkeys((401, 403, 407), ReasonCode.EVIDENCE_AUTH_DENIED) | dict.fromkeys(
    (408, 504), ReasonCode.EVIDENCE_TIMEOUT
)


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
        raise FetchError(ReasonCode.EVIDENCE_TIMEOUT, f"{_shown(uri)} did not come within {self._timeout_s:g} s")

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        """The bytes that `ref` names, from the artifact store if it has them.

        Raises:
            FetchError: as `fetch` does, and with 203 when they have another digest.
        """
        kept = self._read_artifact(f"artifact://executor/{ref.digest}") if self._read_artifact else None
        data = await self.fetch(ref.uri) if kept is None else kept
        if content_digest(data) != ref.digest:
            raise FetchError(ReasonCode.EVIDENCE_DIGEST_MISMATCH, f"{_shown(ref.uri)} is not what {ref.digest} names")
        return data

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def _fetch(self, uri: str, limit: int) -> bytes:
        scheme = uri.partition(":")[0].lower()
        if scheme in _PORTS:
            return await self._fetch_http(uri, limit)
        if scheme == "file":
            return await anyio.to_thread.run_sync(_read_file, uri, self._file_roots, limit, abandon_on_cancel=True)
        if scheme == "artifact":
            return self._fetch_artifact(uri, limit)
        if is_data(uri):
            return data_in(uri, limit)
        raise UnfetchableError(f"{_shown(uri)!r} is no http, https, file, artifact or data URI")

    def _fetch_artifact(self, uri: str, limit: int) -> bytes:
        data = self._read_artifact(uri) if self._read_artifact else None
        if data is None:
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{_shown(uri)} is not kept here")
        if len(data) > limit:
            raise _too_large(uri, limit)
        return data

    async def _fetch_http(self, uri: str, limit: int) -> bytes:
        import httpx2

        first = _origin(_split(uri))
        for _ in range(MAX_REDIRECTS + 1):
            # Credentials go to the host they were given for, not to where it sends us.
            parts = _split(uri)
            request = await self._request(parts, basic(parts.netloc) if _origin(parts) == first else None)
            try:
                response = await self._client().send(request, stream=True)
                try:
                    if response.status_code not in _REDIRECTS:
                        return await _body(response, uri, limit)
                    uri = _next(uri, response)
                finally:
                    await response.aclose()
            except httpx2.TimeoutException:
                raise FetchError(ReasonCode.EVIDENCE_TIMEOUT, f"{_shown(uri)} did not answer in time") from None
            except httpx2.TransportError as error:
                name = type(error).__name__
                raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{_shown(uri)} cannot be reached: {name}") from None
        raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{_shown(uri)}: more than {MAX_REDIRECTS} redirects")

    async def _request(self, parts: SplitResult, authorization: str | None) -> httpx2.Request:
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        address = await self._guard.address(host, port)
        pinned = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=f"{pinned}:{port}", fragment="").geturl()
        headers = {"host": parts.netloc.rpartition("@")[2], "accept": "*/*", "accept-encoding": "identity"}
        if authorization is not None:
            headers["authorization"] = authorization
        # The certificate is checked against the name, though the connection goes to the address.
        return self._client().build_request("GET", target, headers=headers, extensions={"sni_hostname": host})

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            import httpx2

            # No connection is kept: one to an address that two names share must not serve both.
            self._http = httpx2.AsyncClient(
                timeout=None, trust_env=False, follow_redirects=False, limits=httpx2.Limits(max_keepalive_connections=0)
            )
        return self._http


async def _body(response: httpx2.Response, uri: str, limit: int) -> bytes:
    if not response.is_success:
        status = response.status_code
        reason, sentence = _REASONS.get(status, ReasonCode.EVIDENCE_UNREACHABLE), f"{_shown(uri)} answered {status}"
        if 400 <= status < 500 and status not in MOMENTARY:
            raise UnfetchableError(sentence, reason)
        raise FetchError(reason, sentence)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise _too_large(uri, limit)
    return bytes(body)


def _next(uri: str, response: httpx2.Response) -> str:
    try:
        target = urljoin(uri, response.headers.get("location", ""))
        if target.partition(":")[0].lower() in _PORTS:
            _split(target)
            return target
    except (ValueError, UnfetchableError):
        # That is the fault of who sends us there, and may be mended by the next attempt.
        raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{_shown(uri)} sends us to no usable URL") from None
    sentence = f"{_shown(uri)} sends us to {_shown(target)}, which is no web page"
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
    raise UnfetchableError(f"{_shown(uri.rpartition('@')[2])!r} is no usable URL")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _read_file(uri: str, roots: Sequence[Path], limit: int) -> bytes:
    """The bytes of a regular file under one of `roots`; outside of them nobody learns what exists."""
    path, uri = _path_within(uri, roots), uri[:_MAX_SHOWN]
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
        raise _too_large(uri, limit)
    return data


def _path_within(uri: str, roots: Sequence[Path]) -> Path:
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise UnfetchableError(f"{uri[:_MAX_SHOWN]} is no usable URL") from None
    try:
        path = Path(unquote(parts.path)).resolve()
    except (OSError, ValueError, RuntimeError):  # a loop of links, a null byte
        path = Path()
    if parts.netloc not in {"", "localhost"} or not any(path.is_relative_to(root) for root in roots):
        sentence = f"{uri[:_MAX_SHOWN]} is in no folder that may be read; the option file_roots would open one"
        raise UnfetchableError(sentence, ReasonCode.EVIDENCE_AUTH_DENIED)
    return path


def _too_large(uri: str, limit: int) -> UnfetchableError:
    return UnfetchableError(f"{_shown(uri)} has more than {limit} bytes")


def _shown(uri: str) -> str:
    """`uri` as a message may show it: without credentials, without its query (which may hold a token), not endless."""
    scheme, separator, rest = _SECRET.split(uri, maxsplit=1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"[:_MAX_SHOWN]
