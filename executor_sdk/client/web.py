"""One request of a handler to the web: what it asks, checked, and what may be made of the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import msgspec

from executor_sdk.client.secret import Secret
from executor_sdk.errors import MOMENTARY, FetchError, UnfetchableError
from executor_sdk.misuse import MisuseError, is_text_of
from executor_sdk.protocol.reason_codes import ReasonCode

if TYPE_CHECKING:
    import httpx2

#: Methods whose request another place may answer: nothing is done twice, and no body goes astray.
FOLLOWING: Final = frozenset({"GET", "HEAD"})

#: Fields that say how a message is sent, and to which host: they follow from the rest of the request.
_OURS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "trailer", "upgrade"}
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_TEXT: Final = re.compile(r".+", re.DOTALL)
_VALUE: Final = re.compile(r"[ -~\t]*")

#: Where the part of a URI begins that may hold a token.
_QUERY: Final = re.compile("[?#]")

#: Characters of a URI that a message shows.
MAX_SHOWN: Final = 200

_REASONS: Final = dict.fromkeys((401, 403, 407), ReasonCode.EVIDENCE_AUTH_DENIED) | dict.fromkeys(
    (408, 504), ReasonCode.EVIDENCE_TIMEOUT
)


class WebRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request by http or https. `headers` have lower-case names; None leaves a bound to the egress."""

    method: str = "GET"
    url: str
    headers: dict[str, str | Secret] = {}
    content: bytes | None = None
    #: Seconds until the whole answer must be there.
    timeout_s: float | None = None
    max_bytes: int | None = None
    #: Statuses that are answers, and no errors, beside those below 300.
    allow_statuses: frozenset[int] = frozenset()

    @property
    def follows(self) -> bool:
        """Whether it goes on to where a redirect points."""
        return self.method in FOLLOWING

    def sent_headers(self, of_secret: Callable[[Secret], str] = Secret.resolve) -> dict[str, str]:
        """The header fields with the values of their secrets.

        Raises:
            SecretError: one of the secrets is not there.
        """
        return {name: of_secret(one) if isinstance(one, Secret) else one for name, one in self.headers.items()}


def checked_method(method: str) -> str:
    """`method` in capitals. Raises MisuseError."""
    if not is_text_of(_TOKEN, method):
        raise MisuseError("the method of a request is a word; write task.http.request('PUT', url)")
    if (upper := method.upper()) in {"CONNECT", "TRACE"}:
        raise MisuseError(f"{upper} is for proxies; write task.http.request('PUT', url)")
    return upper


def checked_headers(headers: Mapping[str, str | Secret]) -> dict[str, str | Secret]:
    """`headers` with lower-case names.

    Raises:
        MisuseError: a name or a value that no request can carry; a value is not quoted.
    """
    checked: dict[str, str | Secret] = {}
    for name, value in headers.items():
        if not is_text_of(_TOKEN, name):
            raise MisuseError("the name of a header is a word; write headers={'x-tenant': 'acme'}")
        if name.lower() in _OURS:
            raise MisuseError(f"the header {name} follows from the request itself; leave it out")
        if not (isinstance(value, Secret) or is_text_of(_VALUE, value)):
            raise MisuseError(f"the header {name} is one line of ASCII, or a Secret; write headers={{{name!r}: 'v'}}")
        checked[name.lower()] = value
    return checked


def with_params(url: str, params: Mapping[str, object] | None) -> str:
    """`url` with `params` in its query, behind what is there already; a list is one parameter several times.

    Raises:
        MisuseError: a secret stands among them, where logs of servers would keep it; or `url` is no text.
    """
    if not is_text_of(_TEXT, url):
        raise MisuseError("the URL of a request is text; write task.http.get('https://data.example/rows')")
    if not params:
        return url
    if any(isinstance(value, Secret) for value in params.values()):
        raise MisuseError("a Secret goes into headers, not into a URL; write headers={'authorization': Secret(...)}")
    base, hash_sign, fragment = url.partition("#")
    return f"{base}{'&' if '?' in base else '?'}{urlencode(params, doseq=True)}{hash_sign}{fragment}"


def check_status(status: int, uri: str, allowed: Collection[int] = ()) -> None:
    """Let a success pass, and what is `allowed`.

    Raises:
        UnfetchableError: a 4xx, except for those that speak of the moment: asking again brings the same.
        FetchError: any other.
    """
    if 200 <= status < 300 or status in allowed:
        return
    reason, sentence = _REASONS.get(status, ReasonCode.EVIDENCE_UNREACHABLE), f"{shown(uri)} answered {status}"
    if 400 <= status < 500 and status not in MOMENTARY:
        raise UnfetchableError(sentence, reason)
    raise FetchError(reason, sentence)


def web_response(
    request: WebRequest, uri: str, status: int, headers: Collection[tuple[bytes, bytes]], body: bytes
) -> httpx2.Response:
    """The answer as authors get it: read whole; of its request the method and the URL, but no header.

    Raises:
        UnfetchableError: it is packed. That was not asked for, and a packed answer knows no bound.
    """
    import httpx2

    packing = {value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"}
    if body and packing - {b"", b"identity"}:
        raise UnfetchableError(f"{shown(uri)} is packed, although that was not asked for")
    asked = httpx2.Request(request.method, uri)
    return httpx2.Response(status, headers=list(headers), content=body, request=asked)


def too_large(uri: str, limit: int) -> UnfetchableError:
    """What is raised for an answer beyond its bound."""
    return UnfetchableError(f"{shown(uri)} has more than {limit} bytes")


def shown(uri: str) -> str:
    """`uri` as a message may show it: without credentials, without its query (which may hold a token), not endless."""
    scheme, separator, rest = _QUERY.split(uri, maxsplit=1)[0].partition("://")
    if not separator:
        # What is no URL may have its password anywhere before the last @.
        return scheme.rpartition("@")[2][:MAX_SHOWN]
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"[:MAX_SHOWN]
