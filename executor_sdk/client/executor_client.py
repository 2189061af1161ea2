"""The client that speaks to one executor the way the kernel does: bounded calls, the same bytes sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self, TypeVar, overload

import anyio
import httpx2

from executor_sdk.client.asks import Answered, AskingTask, execute_body, offered, on_behalf, output_as
from executor_sdk.client.base_url import split
from executor_sdk.client.exchange import Answer, NoAnswerError, OversizedAnswerError, Pool
from executor_sdk.client.pool import Http, Httpx2Pool, pooled_http
from executor_sdk.errors import ExecutorRefusedError, ExecutorUnreachableError
from executor_sdk.misuse import MisuseError, named
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import MAX_BODY_BYTES, Json, NotJsonError, parse
from executor_sdk.protocol.requests import NEW_WORK_HEADER
from executor_sdk.protocol.wire import Capabilities, ExecuteAnswer, VerifyAnswer, WireError, view

#: What the kernel's own client does: 30 s a call, sent up to five times.
TIMEOUT_S: Final = 30.0
RESENDS: Final = 4

#: The n-th resend waits n times this long.
RESEND_WAIT_MS: Final = 50

T = TypeVar("T")

_GET_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}
_POST_HEADERS: Final = {**_GET_HEADERS, "content-type": "application/json"}


class ExecutorClient:
    """Calls one executor. Share one `http` (see `pooled_http`) among many; without it the client has its own pool.

        async with ExecutorClient("http://127.0.0.1:8787") as client:
            done = await client.ask({"data_url": "https://…"})
            verdict = await client.verify(verify_body(done))  # of executor_sdk.client.asks

    A call that brings no answer is sent again with the same bytes; an answer of any status ends it. `ask` and the four
    calls raise ExecutorUnreachableError (no answer) and ExecutorRefusedError (an error status, or a broken body).
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        resends: int = RESENDS,
        resend_wait_ms: int = RESEND_WAIT_MS,
        http: Http | None = None,
        max_answer_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        base = split(base_url)
        #: Where calls go, without credentials.
        self.base_url = base.url
        self._authorization = {} if base.authorization is None else {"authorization": base.authorization}
        self._timeout_s = timeout_s
        self._resends = resends
        self._resend_wait_s = resend_wait_ms / 1000
        self._max_answer_bytes = max_answer_bytes
        self._http: Pool | None = Httpx2Pool(http) if isinstance(http, httpx2.AsyncClient) else http
        self._owns_http = http is None

    @overload
    async def ask(
        self,
        inputs: Json,
        *,
        as_: type[T],
        task_type: str | None = ...,
        profile: str | None = ...,
        contract: Mapping[str, Json] | None = ...,
        within: AskingTask | None = ...,
        new_work: bool = ...,
    ) -> Answered[T]: ...

    @overload
    async def ask(
        self,
        inputs: Json,
        *,
        as_: None = ...,
        task_type: str | None = ...,
        profile: str | None = ...,
        contract: Mapping[str, Json] | None = ...,
        within: AskingTask | None = ...,
        new_work: bool = ...,
    ) -> Answered[Any]: ...

    async def ask(
        self,
        inputs: Json,
        *,
        as_: type[Any] | None = None,
        task_type: str | None = None,
        profile: str | None = None,
        contract: Mapping[str, Json] | None = None,
        within: AskingTask | None = None,
        new_work: bool = False,
    ) -> Answered[Any]:
        """Have one task done by its inputs, as a kernel would ask for it.

        Args:
            inputs: what the handler is given.
            as_: the type of the output; without it the output is plain JSON.
            task_type: the first offered one unless named; likewise `profile`.
            contract: keys to put over the task contract that every run step gets.
            within: the task of the handler that asks. The ids derive from its ids, so that its copies and attempts stay
                one work there, too. Without it every call asks for new work.
            new_work: whether to have nothing of what was done for earlier attempts.

        A handler that does not catch the errors of this call answers what the other executor said: 422 where that was
        final, else 503 with its `Retry-After`.
        """
        if task_type is None or profile is None:
            task_type, profile = offered(await self.describe(), task_type=task_type, profile=profile)
        body = execute_body(inputs, task_type=task_type, profile=profile, contract=contract)
        return await self.ask_with(body, as_=as_, within=within, new_work=new_work)

    async def ask_with(
        self,
        body: Mapping[str, Json],
        *,
        as_: type[Any] | None = None,
        within: AskingTask | None = None,
        new_work: bool = False,
    ) -> Answered[Any]:
        """As `ask`, with the whole body of `/execute`."""
        if isinstance(as_, str):
            raise MisuseError(f"as_ is a type, not text; write as_={as_}")
        if isinstance(within, str | dict):
            raise MisuseError(f"within is the task of the handler that asks, not {named(within)}; write within=task")
        request = dict(body) if within is None else on_behalf(body, within)
        headers = {NEW_WORK_HEADER: "true"} if new_work else None
        answer = await self.send("POST", "/execute", request, headers=headers)
        document = self._read("/execute", answer, ExecuteAnswer)
        try:
            return Answered(request, document, output_as(as_, document))
        except ValueError as error:
            raise self._refused(str(error), answer) from None

    async def health(self) -> None:
        """Return if the executor answers 2xx; the body is not looked at."""
        self._accepted("/health", await self.send("GET", "/health"))

    async def capabilities(self) -> Capabilities:
        """What the executor can do."""
        return view(await self.describe(), Capabilities)

    async def describe(self) -> dict[str, Json]:
        """The whole document of `/capabilities`: the four fields of the contract and whatever the executor adds."""
        return self._read("/capabilities", await self.send("GET", "/capabilities"), Capabilities)

    async def execute(
        self, body: bytes | Mapping[str, Json], *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Json]:
        """Have one attempt done; the plain JSON of the answer, its shape checked."""
        return self._read("/execute", await self.send("POST", "/execute", body, headers=headers), ExecuteAnswer)

    async def verify(self, body: bytes | Mapping[str, Json]) -> dict[str, Json]:
        """Have one candidate judged; the plain JSON of the verdict, its shape checked."""
        return self._read("/verify", await self.send("POST", "/verify", body), VerifyAnswer)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Json] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one call, again where no answer came, and return what was answered, of whatever status."""
        content = body if body is None or isinstance(body, bytes) else declared_bytes(dict(body))
        fixed = _GET_HEADERS if content is None else _POST_HEADERS
        sent = {**fixed, **self._authorization, **(headers or {})}
        for resend in range(self._resends):
            try:
                return await self._send_once(method, path, content, sent)
            except ExecutorUnreachableError:
                await anyio.sleep(self._resend_wait_s * (resend + 1))
        return await self._send_once(method, path, content, sent)

    async def aclose(self) -> None:
        """Close the pool, unless it was given."""
        if self._owns_http and self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _send_once(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            with anyio.move_on_after(self._timeout_s):
                if self._http is None:
                    self._http = pooled_http()
                limit = self._max_answer_bytes
                return await self._http.exchange(method, self.base_url + path, headers, content, max_bytes=limit)
        except NoAnswerError as error:
            # The text of a driver's error names sockets and addresses at most; headers are never in it.
            raise ExecutorUnreachableError(f"{path} of {self.base_url}: {error}", timed_out=error.timed_out) from None
        except OversizedAnswerError as error:
            raise self._refused(f"an answer of more than {self._max_answer_bytes} bytes", error.answer) from None
        raise ExecutorUnreachableError(
            f"{path} of {self.base_url}: no answer within {self._timeout_s:g} s", timed_out=True
        )

    def _read(self, path: str, answer: Answer, kind: type[Any]) -> dict[str, Json]:
        self._accepted(path, answer)
        try:
            value: dict[str, Json] = parse(answer.body)
            view(value, kind)
        except (NotJsonError, WireError) as error:
            raise self._refused(f"{path} broke the contract: {error}", answer) from None
        return value

    def _accepted(self, path: str, answer: Answer) -> None:
        if not answer.is_success:
            status = f"{answer.status} {answer.reason_phrase}".strip()
            raise self._refused(f"{status}: {answer.sentence}", answer, f"{path} answered ")

    def _refused(self, sentence: str, answer: Answer, before: str = "") -> ExecutorRefusedError:
        return ExecutorRefusedError(
            f"{self.base_url}: {before}{sentence}",
            sentence=sentence,
            peer_code=answer.code,
            after_s=answer.after_s,
            status=answer.status,
            reason_phrase=answer.reason_phrase,
            answer=answer.excerpt,
        )
