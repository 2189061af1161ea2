"""The task as its handler sees it: facts of one task, and the ports through which it may touch the world."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from executor_sdk.authoring.encoding import NotPlainError, encoded, named
from executor_sdk.authoring.fetching import Bytes, in_loop, in_thread
from executor_sdk.authoring.ports import Ports
from executor_sdk.authoring.shield import SHIELD_S, Shield
from executor_sdk.authoring.task_http import Http
from executor_sdk.authoring.task_log import TaskLog
from executor_sdk.authoring.task_metrics import TaskMetrics
from executor_sdk.cancelling import Hold
from executor_sdk.client.web import WebRequest
from executor_sdk.errors import InvalidOutputError, TaskCancelled
from executor_sdk.misuse import MisuseError, called_as
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.incoming import ExecuteRequest, attempt_of
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import MAX_OUTPUT_BYTES
from executor_sdk.protocol.trace_context import trace_context
from executor_sdk.protocol.wire import EvidenceRef

if TYPE_CHECKING:
    import httpx2

    # Who has a client has loaded this already.
    from executor_sdk.client.asks import Answered
    from executor_sdk.client.executor_client import ExecutorClient

T = TypeVar("T")

#: Keys that a kernel adds to the inputs of a run step; they reach a model only where it declares them.
KERNEL_KEYS: Final = frozenset(
    {"agent_id", "prompt", "swarm_scope", "swarm_route", "_aggregation_signal", "_run_queue_coordination"}
)


class Task:
    """One task: what is asked and by whom (read-only facts), and ways to report, fetch and give evidence."""

    #: What `metric` has added up; None until it is called.
    _metrics: TaskMetrics | None = None
    #: What keeps interruptions off; None until `shield` is called.
    _hold: Hold | None = None

    def __init__(
        self,
        request: ExecuteRequest,
        ports: Ports,
        *,
        step_digest: bytes,
        deadline_ms: int,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self.request = request
        #: Epoch milliseconds at which the handler is stopped.
        self.deadline_ms = deadline_ms
        #: Evidence given so far, as it will be sent.
        self.evidence_inline: list[dict[str, Json]] = []
        self.evidence_refs: list[dict[str, Json]] = []
        self._ports = ports
        self._step_digest = step_digest
        self._headers = headers
        self._ended = False

    @property
    def step_key(self) -> str:
        """Stable across the attempts of one step; hand it to a payment service as its idempotency key."""
        return self._step_digest.hex()

    @property
    def task_id(self) -> str:
        """The kernel's name of this task; a later attempt has another one."""
        return self.request.task_id

    @property
    def execution_id(self) -> str:
        """The kernel's name of the call that started the work."""
        return self.request.execution_id

    @property
    def task_type(self) -> str:
        """What kind of task this is."""
        return self.request.task_type

    @property
    def profile(self) -> str:
        """The way of doing it that was asked for."""
        return self.request.profile

    @property
    def stage(self) -> str:
        """EXPLORE, DECIDE or DIVERGE_MODE from today's kernel; any string on the wire."""
        return self.request.stage

    @property
    def inputs(self) -> Json:
        """The inputs as they came, the kernel's own keys among them."""
        return self.request.inputs

    @property
    def contract(self) -> dict[str, Json]:
        """The whole task contract as it came."""
        return self.request.contract

    @property
    def agent_id(self) -> str | None:
        """The agent of the run spec that this step belongs to."""
        return _text(self._input("agent_id"))

    @property
    def prompt(self) -> str | None:
        """The agent's prompt."""
        return _text(self._input("prompt"))

    @property
    def attempt(self) -> int:
        """The number of the attempt that started the work, read from a run step's task id; else 1."""
        return attempt_of(self.request)[1] or 1

    @property
    def round(self) -> int:
        """1 in the first round, 2 after the first re-explore, and so on."""
        iteration = self._signal().get("iteration")
        return 1 + iteration if type(iteration) is int and iteration > 0 else 1

    @property
    def signal(self) -> str | None:
        """Why the kernel asks again (`NEED_MORE_EVIDENCE`, `NEED_DECISION`, `NEED_STEP_RECOVERY`); None at first."""
        return _text(self._signal().get("type"))

    @property
    def seeds(self) -> list[dict[str, Json]]:
        """Earlier decisions that the kernel holds to be similar or equal; the hits of the seed bundle."""
        bundle = self.request.seed_bundle
        hits = bundle.get("hits") if isinstance(bundle, dict) else None
        return [hit for hit in hits if isinstance(hit, dict)] if isinstance(hits, list) else []

    @property
    def cancelled(self) -> bool:
        """Whether the work is no longer wanted; for code that would rather ask than be interrupted."""
        return self._ended or self._ports.pulse.cancelled()

    @functools.cached_property
    def log(self) -> TaskLog:
        """A logger of this task, for any thread: `task.log.info("%d rows", rows)`.

        It is the logger `executor_sdk.task`. Each message begins with the execution id, and each record has
        `task_type`, `execution_id`, `task_id` and `attempt`, which a format may name, as `%(task_id)s`.
        """
        facts = {
            "task_type": self.task_type,
            "execution_id": self.execution_id,
            "task_id": self.task_id,
            "attempt": self.attempt,
        }
        return TaskLog(facts, execution_id=self.execution_id)

    @called_as("task.metric('tokens', 812)")
    def metric(self, name: str, value: float, unit: str = "") -> None:
        """Count what was used: tokens, cost, seconds. Calls of one name add up, also those of a try that failed.

        The sums are logged when the work ends, and go out with the answer under `metrics`, which kernels do not look at
        and no hash covers: the callers of `ExecutorClient.ask` and `in_process` find them as `metrics`.

        Args:
            name: letters, digits, `_`, `.`, `/` and `-`, 64 at most; 64 names in a task at most.
            value: a finite number, 0 or more.
            unit: the same in all calls of one name, or left out.

        Raises:
            MisuseError: one of the three is something else.
        """
        self._shared("_metrics", TaskMetrics).add(name, value, unit)

    @property
    def metrics(self) -> dict[str, Json]:
        """What `metric` has added up so far: by name, `value` and `unit`."""
        return {} if self._metrics is None else self._metrics.plain()

    def remaining_s(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, (self.deadline_ms - self._ports.now_ms()) / 1000)

    def check(self) -> None:
        """Stop here if the work is no longer wanted.

        Raises:
            TaskCancelled: it is not, and no shield is open.
        """
        if self.cancelled and not self._is_shielded:
            raise TaskCancelled

    @called_as("task.shield(seconds=5)")
    def shield(self, seconds: float = SHIELD_S) -> Shield:
        """Do not interrupt here: `async with task.shield():`, or `with task.shield():` in a plain `def`.

        Neither the deadline nor the end of all interest stops the work while such a block is open, in whichever task or
        thread of the handler; `progress` and `check` do not raise, `cancelled` tells the truth. What was put off takes
        effect at the end of the outermost block. The callers wait for it: a block is for the few steps that must not be
        torn apart, as a payment and the record of it.

        A block that takes longer than `seconds` is interrupted all the same, and the log says so. A server that stops
        gives it what is left of `drain_s`, and two seconds. Cancellations of the author's own (a timeout, a task group)
        are not put off.

        Raises:
            MisuseError: `seconds` is no number above 0; or, at `with`, this is an `async def`.
        """
        return Shield(self._shared("_hold", self._make_hold), lambda: self.cancelled, seconds)

    def progress(self, fraction: float, note: str = "") -> None:
        """Say how far the work is, 0 to 1; callable from plain and asynchronous code alike.

        Raises:
            TaskCancelled: the work is no longer wanted.
        """
        if self._ended:
            self.check()
        if not isinstance(fraction, float | int):
            raise MisuseError(f"progress is a number from 0 to 1, not {named(fraction)}; write task.progress(0.5)")
        # What is no number says nothing; no ledger could hold it.
        known = 0.0 if math.isnan(fraction) else float(fraction)
        try:
            self._ports.pulse.progress(min(max(known, 0.0), 1.0), str(note))
        except TaskCancelled:
            if not self._is_shielded:
                raise

    @called_as("task.partial(text_so_far)")
    def partial(self, output: object) -> None:
        """Say what is known of the output already, as the text of a model so far; each time the whole of it.

        It is not checked against the output's type, and the last one is kept while the work runs. A generator writes
        `yield Partial(text)`.

        Raises:
            TaskCancelled: the work is no longer wanted.
            InvalidOutputError: JSON cannot say it, or it has more than the 65,536 bytes that an output may have.
        """
        if self._ended:
            self.check()
        try:
            body = declared_bytes(encoded(output))
        except NotPlainError as error:
            raise InvalidOutputError(f"task.partial was given {error}") from None
        if len(body) > MAX_OUTPUT_BYTES:
            raise InvalidOutputError(
                f"task.partial was given {len(body)} bytes; an output has {MAX_OUTPUT_BYTES} at most"
            )
        try:
            self._ports.pulse.partial(body)
        except TaskCancelled:
            if not self._is_shielded:
                raise

    def fetch(self, uri: str, *, max_bytes: int | None = None) -> Bytes:
        """Await the bytes at `uri`, through the egress guard, bounded by size and by the deadline.

        Raises:
            FetchError: they are not to be had. It is answered 502, which the kernel tries again, or 422 if they never
                will be: `uri` is none, not there (404), not allowed, or they are too large.
        """
        _check_uri(uri)
        return in_loop(
            "task.fetch", "task.fetch_sync", functools.partial(self._ports.fetcher.fetch, uri, max_bytes=max_bytes)
        )

    def fetch_sync(self, uri: str, *, max_bytes: int | None = None) -> bytes:
        """`fetch` for a plain `def` handler, which runs in a thread of its own."""
        _check_uri(uri)
        return in_thread(
            "task.fetch", "task.fetch_sync", functools.partial(self._ports.fetcher.fetch, uri, max_bytes=max_bytes)
        )

    @property
    def http(self) -> Http[Coroutine[Any, Any, httpx2.Response]]:
        """Requests to the web, as `Http` says: `await task.http.get(url)`, `.post(url, json=...)`."""

        def send(called: str, request: WebRequest) -> Coroutine[Any, Any, httpx2.Response]:
            ask = functools.partial(self._ports.fetcher.exchange, request)
            return in_loop(f"task.http.{called}", f"task.http_sync.{called}", ask)

        return Http(send, self._request_s, trace_context(self._headers))

    @property
    def http_sync(self) -> Http[httpx2.Response]:
        """`http` for a plain `def` handler, which runs in a thread of its own: `response = task.http_sync.get(url)`."""

        def send(called: str, request: WebRequest) -> httpx2.Response:
            ask = functools.partial(self._ports.fetcher.exchange, request)
            return in_thread(f"task.http.{called}", f"task.http_sync.{called}", ask)

        return Http(send, self._request_s, trace_context(self._headers))

    @overload
    async def forward(
        self,
        client: ExecutorClient,
        *,
        inputs: Json = ...,
        task_type: str | None = ...,
        profile: str | None = ...,
        as_: type[T],
        new_work: bool = ...,
    ) -> Answered[T]: ...

    @overload
    async def forward(
        self,
        client: ExecutorClient,
        *,
        inputs: Json = ...,
        task_type: str | None = ...,
        profile: str | None = ...,
        as_: None = ...,
        new_work: bool = ...,
    ) -> Answered[Any]: ...

    async def forward(
        self,
        client: ExecutorClient,
        *,
        inputs: Json = ...,
        task_type: str | None = None,
        profile: str | None = None,
        as_: type[Any] | None = None,
        new_work: bool = False,
    ) -> Answered[Any]:
        """Have another executor do this task, or with other inputs a part of it; contract and seeds go along.

        Its ids derive from this task's: copies and attempts of this task are one work there. Errors and the other
        arguments are those of `ExecutorClient.ask`.
        """
        if isinstance(client, str):
            raise MisuseError("task.forward takes a client, not its address; write task.forward(ExecutorClient(url))")
        body = self.request.plain
        changed = {
            "inputs": body["inputs"] if inputs is ... else inputs,
            "task_type": task_type or self.task_type,
            "profile": profile or self.profile,
        }
        return await client.ask_with({**body, **changed}, as_=as_, within=self, new_work=new_work)

    @called_as("task.evidence('what was found')")
    def evidence(self, given: object, mime: str | None = None) -> None:
        """Attach something short to the answer; at most 65,536 bytes, of a type that the contract allows.

        Args:
            given: text; anything else that an output may hold goes out as JSON.
            mime: by itself `text/plain` for text and `application/json` for the rest.

        Raises:
            InvalidOutputError: it is not text, and JSON cannot say it.
        """
        try:
            plain = encoded(given)
        except NotPlainError as error:
            raise InvalidOutputError(f"task.evidence was given {error}") from None
        if isinstance(plain, str):
            self.evidence_inline.append({"mime": mime or "text/plain", "content": plain})
        else:
            content = declared_bytes(plain).decode()
            self.evidence_inline.append({"mime": mime or "application/json", "content": content})

    @called_as("task.artifact(data, 'text/csv')")
    def artifact(self, data: bytes, mime: str, uri: str | None = None) -> EvidenceRef:
        """Keep `data` under its digest and attach a reference to it, with `uri` if it can be had there too."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise MisuseError(f"task.artifact keeps bytes, not {named(data)}; write task.artifact(text.encode(), mime)")
        ref = self._ports.store_artifact(bytes(data), mime)
        if uri is not None:
            ref = {**ref, "uri": uri}
        if all(known["digest"] != ref["digest"] for known in self.evidence_refs):
            self.evidence_refs.append(ref)
        return EvidenceRef(**ref)

    def forget(self) -> None:
        """Called by the kit before the handler is called again: evidence of the last call is not part of the next.

        What was used stays used.
        """
        self.evidence_inline.clear()
        self.evidence_refs.clear()
        self._ports.forget()

    def end(self) -> None:
        """Called by the kit when the handler's time is over: a thread that still runs stops at its next progress."""
        self._ended = True
        if self._hold is not None:
            self._hold.dissolve()
        if self._metrics is not None:
            self.log.info("used %s", self._metrics, extra={"metrics": self._metrics.plain()})

    @property
    def _is_shielded(self) -> bool:
        return self._hold is not None and self._hold.left_s > 0

    def _request_s(self) -> float:
        """How long a request may take: until the deadline; under a shield, which may be open then, until its end."""
        return max(self.remaining_s(), 0.0 if self._hold is None else self._hold.left_s)

    def _make_hold(self) -> Hold:
        told = "a block under task.shield() took longer than its `seconds`, and is interrupted"
        return Hold(self._ports.pulse.worker, lambda: self.log.warning(told), lambda: self._ports.now_ms() / 1000)

    def _shared(self, name: str, make: Callable[[], T]) -> T:
        """What the threads of a task share, made by the first of them; `setdefault` lets one of them be the first."""
        shared: T = self.__dict__.get(name) or self.__dict__.setdefault(name, make())
        return shared

    def _input(self, key: str) -> Json:
        return self.request.inputs.get(key) if isinstance(self.request.inputs, dict) else None

    def _signal(self) -> dict[str, Json]:
        signal = self._input("_aggregation_signal")
        return signal if isinstance(signal, dict) else {}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _check_uri(uri: object) -> None:
    if not isinstance(uri, str):
        raise MisuseError(f"a URI is text, not {named(uri)}; write task.fetch('https://...')")
