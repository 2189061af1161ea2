"""Requests of a handler to the web: what `task.http` and `task.http_sync` offer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Generic, TypedDict, TypeVar

from executor_sdk.authoring.encoding import NotPlainError, encoded
from executor_sdk.client.secret import Secret
from executor_sdk.client.web import WebRequest, checked_headers, checked_method, with_params
from executor_sdk.misuse import MisuseError, called_as
from executor_sdk.protocol.canonical import declared_bytes

if TYPE_CHECKING:
    from typing import Unpack

R = TypeVar("R")


class RequestOptions(TypedDict, total=False):
    """What any request may have."""

    #: Added to the query of the URL; a list is one parameter several times.
    params: Mapping[str, object] | None
    #: Text, or a `Secret`, by name.
    headers: Mapping[str, str | Secret] | None
    #: Seconds until the whole answer must be there; by itself what is left of the task's time.
    timeout_s: float | None
    #: Bytes that the answer may have; never more than the option `fetch_max_bytes` says.
    max_bytes: int | None
    #: Statuses from 300 on that are answers, and no errors.
    allow_statuses: Collection[int]


class BodyOptions(RequestOptions, total=False):
    """What a request with a body may have."""

    #: Anything that an output may hold.
    json: object
    #: The body as it stands, in place of `json`.
    content: bytes | None


class Http(Generic[R]):
    """Sends requests under the guard of `task.fetch`: to public hosts, and those that the option `allow_hosts` opens.

        response = await task.http.get(url, params={"page": 2})
        response = await task.http.post(url, json=ask, headers={"authorization": Secret("env:CRM_TOKEN", "Bearer {}")})
        rows = response.json()

    In a plain `def` write `task.http_sync` in the place of `await task.http`. The answer is an `httpx2.Response`, read
    whole. The trace context of the request that asked for the work goes along (`traceparent`, `tracestate`). Nothing is
    sent twice by itself: under `retries=`, give a service that must not do things twice the `task.step_key`.

    Raises:
        FetchError: there is no answer, or it has another status than 2xx. As with `task.fetch` it is answered 502,
            which the kernel tries again, or 422 if another attempt meets the same: a 4xx, a host that is not allowed,
            an answer that is too large, a redirect of what is no GET or HEAD.
        SecretError: a secret is not there; answered 503.
        MisuseError: the request cannot be made of what was given.
    """

    __slots__ = ("_left_s", "_send", "_trace")

    def __init__(
        self, send: Callable[[str, WebRequest], R], left_s: Callable[[], float], trace: Mapping[str, str]
    ) -> None:
        """`send` is told the name of the method that was called; `left_s` is the longest time of a request."""
        self._send = send
        self._left_s = left_s
        self._trace = trace

    @called_as("task.http.get(url, params={'page': 2})")
    def get(self, url: str, **options: Unpack[RequestOptions]) -> R:
        """Ask for what is at `url`."""
        return self._send("get", self._request("GET", url, **options))

    @called_as("task.http.post(url, json=ask)")
    def post(self, url: str, **options: Unpack[BodyOptions]) -> R:
        """Send `json` or `content` to `url`."""
        return self._send("post", self._request("POST", url, **options))

    @called_as("task.http.request('PUT', url, json=ask)")
    def request(self, method: str, url: str, **options: Unpack[BodyOptions]) -> R:
        """Send a request of any method."""
        return self._send("request", self._request(checked_method(method), url, **options))

    @called_as(
        "task.http.post(url, json=ask, params={}, headers={}, timeout_s=5, max_bytes=999, allow_statuses={404})",
        name="task.http",
    )
    def _request(
        self,
        method: str,
        url: str,
        *,
        json: object = ...,
        content: bytes | None = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
        allow_statuses: Collection[int] = (),
    ) -> WebRequest:
        given = checked_headers(headers or {})
        if json is not ...:
            if content is not None:
                raise MisuseError("a request has one body; give json or content")
            content = _json_bytes(json)
            given.setdefault("content-type", "application/json")
        left_s = self._left_s()
        return WebRequest(
            method=method,
            url=with_params(url, params),
            headers={**self._trace, **given},
            content=content,
            timeout_s=left_s if timeout_s is None else min(left_s, timeout_s),
            max_bytes=max_bytes,
            allow_statuses=frozenset(allow_statuses),
        )


def _json_bytes(value: object) -> bytes:
    try:
        return declared_bytes(encoded(value))
    except NotPlainError as error:
        raise MisuseError(f"the json of a request holds {error}") from None
