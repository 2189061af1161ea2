"""The executor under test: where it is, how checks call it, and what earlier ones learned of it."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import anyio
import httpx2
import orjson

from executor_sdk.asking.samples import Sample, choose
from executor_sdk.client.asks import Asked
from executor_sdk.client.base_url import masked
from executor_sdk.conformance import bodies
from executor_sdk.conformance.results import BrokenError, Exchange, NotTestableError
from executor_sdk.protocol.plain import Json

#: Pauses before a request is sent again after a transport error, in seconds: those of the kernel's client.
RESEND_PAUSES_S: Final = (0.05, 0.1, 0.15, 0.2)

#: Characters of a body that a report keeps.
KEPT_CHARS: Final = 2_000

_JSON: Final = {"content-type": "application/json"}
_ORIGINS: Final = {
    "file": "the samples file",
    "schema": "the published schema; give --executor-samples FILE if it cannot work",
    "documents": "the kernel's documents, because no schema is published; give --executor-samples FILE",
}


@dataclass(frozen=True)
class Received:
    """An HTTP answer; `json` is None where the body is no JSON."""

    status: int
    body: bytes

    @property
    def json(self) -> Json:
        """The decoded body."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @property
    def content(self) -> dict[str, Json] | None:
        """The decoded body of a 200 that holds a candidate."""
        content = self.json
        has_candidate = isinstance(content, dict) and content.get("candidate_output") is not None
        return content if self.status == 200 and has_candidate else None

    def candidate(self, what: str) -> dict[str, Json]:
        """The decoded body of the answer to `what`, a request that must be done.

        Raises:
            BrokenError: it was not.
        """
        if self.content is None:
            raise BrokenError(f"{what} was answered {self}, expected 200 with a candidate")
        return self.content

    def __str__(self) -> str:
        return f"{self.status} with {shortened(self.body, 300) or 'an empty body'}"


@dataclass
class Learned:
    """What one check found out and others build on, so that an executor works no more often than needed."""

    capabilities: Json = None
    capabilities_exchange: Exchange | None = None
    done: Asked | None = None
    not_done: str | None = None
    done_exchange: Exchange | None = None


@dataclass(frozen=True)
class Target:
    """The executor under test. `timeout_s` bounds each send, `burst` is how many executions are asked at once."""

    base_url: str
    samples: tuple[Sample, ...] = ()
    timeout_s: float = 30.0
    burst: int = 12
    learned: Learned = field(default_factory=Learned, compare=False)

    @property
    def address(self) -> str:
        """The URL without credentials, for everything that is printed."""
        return masked(self.base_url)


class Probe:
    """One check's line to the target; keeps the exchanges for the report."""

    def __init__(self, target: Target, http: httpx2.AsyncClient) -> None:
        self.target = target
        self.learned = target.learned
        self.exchanges: list[Exchange] = []
        self._http = http

    async def get(self, path: str) -> Received:
        """GET `path`."""
        return await self._send("GET", path, b"")

    async def post(self, path: str, body: Json | bytes) -> Received:
        """POST a body as it stands (bytes) or as JSON; the same bytes again on transport errors, as a kernel does."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        for pause_s in RESEND_PAUSES_S:
            try:
                return await self._send("POST", path, content)
            except BrokenError:
                await anyio.sleep(pause_s)
        return await self._send("POST", path, content)

    async def post_and_hang_up(self, path: str, body: Json, *, after_s: float) -> None:
        """POST a body, and drop the connection `after_s` after the last byte of it, whether or not an answer came."""
        content = orjson.dumps(body)
        with anyio.move_on_after(self.target.timeout_s) as patience:

            async def watch(event: str, _: object) -> None:
                if event.endswith("send_request_body.complete"):
                    patience.deadline = anyio.current_time() + after_s

            with contextlib.suppress(httpx2.HTTPError):
                await self._http.post(path, content=content, headers=_JSON, extensions={"trace": watch})
        self.exchanges.append(Exchange("POST", path, shortened(content), 0, f"hung up after {after_s} s"))

    async def capabilities(self) -> Json:
        """The decoded `/capabilities`, asked once; None where there is none."""
        if self.learned.capabilities is None:
            try:
                self.learned.capabilities = (await self.get("/capabilities")).json
            except BrokenError:
                return None
            self.learned.capabilities_exchange = self.exchanges[-1]
        self._show(self.learned.capabilities_exchange)
        return self.learned.capabilities

    async def sample(self) -> Sample:
        """The task to test with."""
        return choose(await self.capabilities(), self.target.samples)

    async def request(self, **changes: Json) -> dict[str, Json]:
        """A fresh request for the sample, which is known to be done; `changes` to its fields."""
        await self.done()
        return bodies.ask(await self.sample(), **changes)

    async def inputs(self) -> dict[str, Json]:
        """The inputs of the sample, to be changed.

        Raises:
            NotTestableError: they are no object, as those of a run step are.
        """
        inputs = (await self.sample()).inputs
        if not isinstance(inputs, dict):
            raise NotTestableError("the sample's inputs are no object, so no key can be added to them")
        return inputs

    async def candidate(self, body: Json | bytes, what: str) -> dict[str, Json]:
        """The answer to `what`, a request that must be done."""
        return (await self.post("/execute", body)).candidate(what)

    async def done(self) -> Asked:
        """One execution of the sample that was answered 200 with an output; done once for all checks.

        Raises:
            NotTestableError: the executor does not do the sample task.
        """
        if self.learned.done is None and self.learned.not_done is None:
            await self._do_sample()
        if self.learned.done is None:
            raise NotTestableError(str(self.learned.not_done))
        self._show(self.learned.done_exchange)
        return self.learned.done

    def _show(self, earlier: Exchange | None) -> None:
        """Report an exchange of an earlier check among this one's, because it builds on it."""
        if earlier is not None and earlier not in self.exchanges:
            self.exchanges.append(earlier)

    async def _do_sample(self) -> None:
        sample = await self.sample()
        request = bodies.ask(sample)
        try:
            answer = await self.post("/execute", request)
        except BrokenError as error:
            self.learned.not_done = f"the sample task ({sample.origin}) was not done: {error}"
            return
        if answer.content is None:
            self.learned.not_done = f"the sample task (from {_ORIGINS[sample.origin]}) was answered {answer}"
        else:
            self.learned.done = Asked(request, answer.content)
            self.learned.done_exchange = self.exchanges[-1]

    async def _send(self, method: str, path: str, content: bytes) -> Received:
        try:
            answer = await self._http.request(method, path, content=content or None, headers=_JSON if content else None)
        except httpx2.HTTPError as error:
            trouble = f"{type(error).__name__}: {error}".rstrip(": ")
            self.exchanges.append(Exchange(method, path, shortened(content), 0, trouble))
            raise BrokenError(f"no answer to {method} {path} ({trouble})") from error
        self.exchanges.append(Exchange(method, path, shortened(content), answer.status_code, shortened(answer.content)))
        return Received(answer.status_code, answer.content)


def client(target: Target) -> httpx2.AsyncClient:
    """A client for one check; proxies of the environment are not used."""
    limits = httpx2.Limits(max_connections=target.burst + 10)
    base_url = target.base_url.rstrip("/")
    # Reading the trusted certificates costs more than a whole check; a target without TLS needs none of them.
    tls = True if base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx2.AsyncClient(base_url=base_url, timeout=target.timeout_s, limits=limits, trust_env=False, verify=tls)


def shortened(body: bytes, chars: int = KEPT_CHARS) -> str:
    """The beginning of a body as text."""
    text = body[: chars * 4].decode("utf-8", "replace")
    return text if len(text) <= chars else f"{text[:chars]}… ({len(body)} bytes)"


Check: TypeAlias = Callable[[Probe], Awaitable[None]]
