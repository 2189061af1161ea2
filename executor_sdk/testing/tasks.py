"""What surrounds a handler in a test: its task, its files, and nothing from any network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.artifacts.store import digest_in
from executor_sdk.authoring.ports import Ports
from executor_sdk.authoring.task import Task
from executor_sdk.client.asks import execute_body, now_ms
from executor_sdk.client.data_uri import data_in, is_data
from executor_sdk.client.web import WebRequest, check_status, shown, too_large, web_response
from executor_sdk.errors import FetchError, TaskCancelled
from executor_sdk.misuse import MisuseError, named
from executor_sdk.protocol.digests import content_digest
from executor_sdk.protocol.incoming import ExecuteRequest
from executor_sdk.protocol.plain import Json, parse
from executor_sdk.protocol.reason_codes import ReasonCode
from executor_sdk.protocol.wire import EvidenceRef

if TYPE_CHECKING:
    import httpx2

    from executor_sdk.testing.fake_time import FakeTime

#: Stands in a test where the web stands in production: given each request of `task.http`, answers it.
AnswersHttp: TypeAlias = "Callable[[httpx2.Request], httpx2.Response | Awaitable[httpx2.Response]]"


class Files:
    """Stands where the guarded egress stands in production."""

    def __init__(self, files: Mapping[str, bytes], artifacts: MemoryArtifacts, http: AnswersHttp | None = None) -> None:
        self._files = files
        self._artifacts = artifacts
        self._http = http

    async def fetch(self, uri: str, *, max_bytes: int | None = None) -> bytes:
        """The bytes that the test gave for `uri`.

        Raises:
            FetchError: it gave none, or they are too many (200).
        """
        if is_data(uri):
            return data_in(uri, max_bytes)
        digest = digest_in(uri)
        if uri not in self._files and digest is None:
            raise FetchError(
                ReasonCode.EVIDENCE_UNREACHABLE,
                f"the test has no file for {uri}; say in_process(..., files={{uri: bytes}})",
            )
        data = self._files[uri] if uri in self._files else self._artifacts.read(str(digest))
        if max_bytes is not None and len(data) > max_bytes:
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{uri} has more than {max_bytes} bytes")
        return data

    async def exchange(self, request: WebRequest) -> httpx2.Response:
        """What the test's function answers, under the checks of the real way; secrets are stood in for, not read.

        Raises:
            FetchError: it answers another status than 2xx.
            MisuseError: the test gave no function.
        """
        import httpx2

        if self._http is None:
            raise MisuseError(
                f"the test answers no request, as {request.method} {shown(request.url)}; write in_process(..., "
                "http=answer), where answer takes the httpx2.Request and returns an httpx2.Response"
            )
        headers = request.sent_headers(lambda secret: secret.stand_in)
        sent = httpx2.Request(request.method, request.url, headers=headers, content=request.content)
        given = self._http(sent)
        answer = await given if isinstance(given, Awaitable) else given
        if not isinstance(answer, httpx2.Response):
            raise MisuseError(
                f"the test's http function returned {named(answer)} for {request.method} {shown(request.url)}; return "
                "an httpx2.Response, as httpx2.Response(200, json={...})"
            )
        check_status(answer.status_code, request.url, request.allow_statuses)
        body = await answer.aread()
        if request.max_bytes is not None and len(body) > request.max_bytes:
            raise too_large(request.url, request.max_bytes)
        return web_response(request, request.url, answer.status_code, answer.headers.raw, body)

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        """The bytes that `ref` names. Raises FetchError, with 203 for bytes of another digest."""
        if self._artifacts.has(ref.digest):
            return self._artifacts.read(ref.digest)
        data = await self.fetch(ref.uri)
        if content_digest(data) != ref.digest:
            raise FetchError(ReasonCode.EVIDENCE_DIGEST_MISMATCH, f"{ref.uri} is not what {ref.digest} names")
        return data


class FakeTask(Task):
    """A task that no kernel asked for, with all that its handler reports."""

    def __init__(self, request: ExecuteRequest, ports: Ports, pulse: _Recording, deadline_ms: int) -> None:
        super().__init__(request, ports, step_digest=b"step-test", deadline_ms=deadline_ms)
        self._pulse = pulse

    @property
    def reported(self) -> list[tuple[float, str]]:
        """Each progress so far: the fraction, 0 to 1, and the note."""
        return self._pulse.reported

    @property
    def partials(self) -> list[Json]:
        """Each partial output so far, as plain JSON."""
        return [parse(output) for output in self._pulse.partials]

    def cancel(self) -> None:
        """The work is no longer wanted: `task.cancelled` is true, and the next progress raises TaskCancelled."""
        self._pulse.is_cancelled = True


class _Recording:
    """Keeps what a handler reports; the work is no longer wanted from the fraction on that was named."""

    def __init__(self, cancel_at: float | None) -> None:
        self.reported: list[tuple[float, str]] = []
        self.partials: list[bytes] = []
        self.is_cancelled = False
        self._cancel_at = cancel_at

    def progress(self, fraction: float, note: str) -> None:
        self.reported.append((fraction, note))
        if self._cancel_at is not None and fraction >= self._cancel_at:
            self.is_cancelled = True
        if self.is_cancelled:
            raise TaskCancelled

    def partial(self, output: bytes) -> None:
        self.partials.append(output)
        if self.is_cancelled:
            raise TaskCancelled

    def cancelled(self) -> bool:
        return self.is_cancelled

    @property
    def worker(self) -> None:
        """Nothing else stops the work."""
        return None


def a_task(
    inputs: Json = ...,
    *,
    task_type: str = "swarm",
    files: Mapping[str, bytes] | None = None,
    http: AnswersHttp | None = None,
    cancel_at: float | None = None,
    timeout_s: float = 30.0,
    time: FakeTime | None = None,
    **request: Json,
) -> FakeTask:
    """A task to call a handler with, as any function is called.

    Args:
        inputs: the inputs as plain JSON, for `task.inputs`.
        task_type: the task's type.
        files: what `task.fetch` finds, by URI.
        http: answers the requests of `task.http`, as with `in_process`.
        cancel_at: the work is no longer wanted from this progress on.
        timeout_s: seconds until `task.deadline_ms`; nobody stops the handler then.
        time: the clock of `task.remaining_s()`, in place of the real one.
        request: fields of the request in place of a kernel's, as `profile="fast"`.
    """
    given = {} if inputs is ... else inputs
    body = execute_body(given, task_type=task_type, run_id="test", execution_id="exec-p-test")
    for name in request:
        if name not in body:
            raise MisuseError(f"a request has no field {name!r}; there are: {', '.join(body)}")
    clock = time.now_ms if time else now_ms
    pulse = _Recording(cancel_at)
    ports = Ports(pulse, Files(dict(files or {}), MemoryArtifacts(), http), producer="test", clock=clock)
    return FakeTask(ExecuteRequest.of(body | request), ports, pulse, clock() + int(timeout_s * 1000))
