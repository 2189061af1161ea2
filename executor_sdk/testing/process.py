"""An executor in a test, whole but for the sockets: every check of the wire is made, nothing is listened on."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal

from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.authoring import calling
from executor_sdk.authoring.annotations import name_of
from executor_sdk.authoring.depends import Make
from executor_sdk.authoring.encoding import misplaced
from executor_sdk.client.asks import Asked, execute_body, now_ms, verify_body
from executor_sdk.client.exchange import Answer, Pool
from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.client.pool import pooled_http
from executor_sdk.errors import (
    DefinitionError,
    ExecutorError,
    ExecutorRefusedError,
    FetchError,
    Refuse,
    RequestError,
    TaskCancelled,
    TaskError,
    TaskLostError,
    TryLater,
    UnfetchableError,
)
from executor_sdk.executions.memory import MemoryLedger
from executor_sdk.executions.record import Key
from executor_sdk.executor import Executor
from executor_sdk.misuse import MisuseError, named
from executor_sdk.protocol.agent_events import agent_event_body
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json, NotJsonError, parse
from executor_sdk.protocol.reason_codes import ReasonCode
from executor_sdk.protocol.wire import (
    EvidenceRef,
    ExecuteAnswer,
    InlineEvidence,
    Metric,
    VerificationStatus,
    VerifyAnswer,
    derived_status,
    metrics_in,
    view,
)
from executor_sdk.testing.drawn import drawn
from executor_sdk.testing.fake_time import FakeTime
from executor_sdk.testing.server import running
from executor_sdk.testing.tasks import AnswersHttp, Files

if TYPE_CHECKING:
    from typing import Unpack

    from executor_sdk.options.written import Options
    from executor_sdk.transports.asgi.app import Application

T = TypeVar("T")

#: While it is open, a test waits; a fake clock skips that.
Passing: TypeAlias = Callable[[], AbstractContextManager[None]]

#: The address that the client believes to call.
BASE_URL: Final = "http://executor.test"

#: Text that `fuzz` puts where a schema leaves it open: what programs tend to stumble over.
ODD_TEXTS: Final = (
    "",
    " ",
    "0",
    "-1",
    "null",
    "two words",
    "line\nbreak",
    "näïve",
    "漢字 🙂",
    "'\"\\",
    "<b>&amp;",
    "x" * 1000,
)

#: Seconds that running work gets when the test is over.
DRAIN_S: Final = 1.0


@dataclass(frozen=True)
class Done:
    """An answered `/execute`."""

    #: The output as the handler's own return type, or plain JSON where it names none.
    output: Any
    evidence_inline: Sequence[InlineEvidence]
    evidence_refs: Sequence[EvidenceRef]
    #: The body of the answer, and of the request that it answers.
    answer: dict[str, Json] = field(repr=False)
    request: dict[str, Json] = field(repr=False)
    #: What the handler has reported meanwhile, in its order: how far it was, 0 to 1, with its note; and its partial
    #: outputs, as plain JSON.
    progress: Sequence[tuple[float, str]] = field(default=(), repr=False)
    partials: Sequence[Json] = field(default=(), repr=False)

    @property
    def metrics(self) -> dict[str, Metric]:
        """What `task.metric` has added up, by name: `done.metrics["tokens"].value`."""
        return metrics_in(self.answer)


@dataclass(frozen=True)
class Judged:
    """An answered `/verify`."""

    status: VerificationStatus
    score: float
    reason_codes: list[int]
    answer: dict[str, Json] = field(repr=False)

    @property
    def message(self) -> str:
        """What the author's verifier said about it."""
        return str(self.answer.get("message", ""))


@dataclass(frozen=True)
class Reacted:
    """An answered `/agent-events`."""

    #: Whether the event was dealt with.
    ok: bool
    #: What was decided, as it goes out; None where nothing was.
    decision: dict[str, Json] | None
    answer: dict[str, Json] = field(repr=False)

    @property
    def action(self) -> str | None:
        """What is to be done."""
        return None if self.decision is None else self.decision["action"]

    @property
    def route(self) -> str | None:
        """Who is to do it."""
        return None if self.decision is None else self.decision["route"]

    @property
    def payload(self) -> Json:
        """What the action needs."""
        return None if self.decision is None else self.decision.get("payload")

    @property
    def message(self) -> str:
        """Why it was not dealt with, or why this was decided."""
        return str(self.answer.get("detail", "") if self.decision is None else self.decision.get("reason", ""))


@contextmanager
def in_process(
    executor: Executor,
    *,
    files: Mapping[str, bytes] | None = None,
    http: AnswersHttp | None = None,
    overrides: Mapping[Make, Make] | None = None,
    time: FakeTime | None = None,
    **options: Unpack[Options],
) -> Iterator[InProcess]:
    """Run `executor` in this process for the length of a `with` block; the environment changes no option.

    Args:
        executor: the executor under test; it is not changed.
        files: what `task.fetch` and `candidate.fetch` find, by URI. There is no way to any network.
        http: answers the requests of `task.http`: a function, plain or asynchronous, that takes the `httpx2.Request`
            and returns an `httpx2.Response`. In the place of a secret it finds the reference, as `<env:CRM_TOKEN>`.
        overrides: dependencies, lifespans and included classes to put in place of others, by the function or class
            that makes them; a lifespan by another, by a class, or by a function that returns what it would yield.
        time: a clock that skips all waiting, in place of the real one.
        options: settings in place of the executor's own and of what decorators say, as `timeout_s=0.1`.

    Raises:
        DefinitionError: an option does not exist or its value does not fit.
    """
    _check_given(executor, files, overrides, time)
    if time is not None and options.get("ledger"):
        raise DefinitionError("time=FakeTime() goes with a ledger in memory only; leave ledger=... out")
    kept: dict[str, bytes] = {}
    artifacts = MemoryArtifacts(kept=kept)
    reports = _Reports()

    app = executor.application(
        executor.settings.changed(ledger=None, artifacts_dir=None, drain_s=DRAIN_S).changed(**options),
        artifacts=artifacts,
        fetcher=Files(dict(files or {}), artifacts, http),
        overrides=overrides,
        observer=reports.hear,
        ledger=None if options.get("ledger") else MemoryLedger(),
        over_decorators=options,
        clock=None if time is None else time.now_ms,
    )
    passing = nullcontext if time is None else time.passing
    pool = pooled_http(httpx2.ASGITransport(app))
    with (
        _Crashes().listening() as crashes,
        start_blocking_portal("asyncio", {"loop_factory": time and time.new_loop}) as portal,
        portal.wrap_async_context_manager(_living(app, passing)),
    ):
        try:
            rt = InProcess(executor, portal, pool, artifacts=kept, reports=reports, crashes=crashes, passing=passing)
            yield rt
        finally:
            rt.has_ended = True
            portal.call(pool.aclose)


def _check_given(executor: object, files: object, overrides: object, time: object) -> None:
    if not isinstance(executor, Executor):
        raise MisuseError(f"in_process takes an executor, not {named(executor)}; write in_process(executor)")
    for uri, data in files.items() if isinstance(files, Mapping) else [("https://...", files)] if files else []:
        if not isinstance(data, bytes):
            raise MisuseError(f"files has the bytes by URI, not {named(data)}; write files={{{uri!r}: b'...'}}")
    for made in overrides.values() if isinstance(overrides, Mapping) else [overrides] if overrides else []:
        if not callable(made):
            raise MisuseError(
                f"overrides has functions and classes by those that they replace, not {named(made)}; write "
                "overrides={open_sales: FakeSales}"
            )
    for lifespan in executor.registry.lifespans:
        if isinstance(overrides, Mapping) and lifespan.kind in overrides and lifespan.kind is not lifespan.source:
            opened, kind = name_of(lifespan.source), name_of(lifespan.kind)
            raise MisuseError(
                f"{kind} is what the lifespan {opened} yields, and is replaced with it; write "
                f"overrides={{{opened}: Fake{kind}}}"
            )
    if not isinstance(time, FakeTime | None):
        raise MisuseError(f"time is a clock, not {(misplaced(time) or [named(time)])[0]}; write time=FakeTime()")


@asynccontextmanager
async def _living(app: Application, passing: Passing) -> AsyncIterator[None]:
    """The time between the start and the stop of `app`, in which its time does not pass by itself."""
    async with AsyncExitStack() as stack:
        with passing():
            await stack.enter_async_context(running(app))
        try:
            yield
        finally:
            with passing():
                await stack.aclose()


class InProcess:
    """A running executor, for plain tests: every call returns when it is answered."""

    def __init__(
        self,
        executor: Executor,
        portal: BlockingPortal,
        http: Pool,
        *,
        artifacts: dict[str, bytes],
        reports: _Reports,
        crashes: _Crashes,
        passing: Passing,
    ) -> None:
        #: Kept artifacts by digest. Put in what you like: it is believed, until somebody checks the digest.
        self.artifacts = artifacts
        #: The client that speaks to the executor; asynchronous, so use it through `call`. The deadline of a handler is
        #: the bound of a call, and may be any.
        self.client = ExecutorClient(BASE_URL, http=http, resends=0, timeout_s=math.inf)
        self._executor = executor
        self._portal = portal
        self._reports = reports
        self._crashes = crashes
        self._created_ms = count(now_ms())
        self._passing = passing
        #: Whether the `with` block is over.
        self.has_ended = False

    def execute(
        self,
        inputs: Json,
        *,
        task_type: str | None = None,
        profile: str | None = None,
        prompt: str | None = None,
        agent_id: str | None = None,
        signal: Mapping[str, Json] | None = None,
        contract: Mapping[str, Json] | None = None,
        cancel_at: float | None = None,
    ) -> Done:
        """Have one task done as a kernel would ask for it.

        Args:
            inputs: what the handler is given; a dict gets the kernel's keys that the next three arguments name.
            task_type: needed where the executor has several; likewise `profile`.
            prompt: the agent's prompt.
            agent_id: the agent's name.
            signal: the `_aggregation_signal` of a re-explore round.
            contract: keys to put over the task contract that every run step gets.
            cancel_at: cancel when the handler's progress reaches this fraction.

        Raises:
            ExecutorError: the refusal or failure as its author knows it (Refuse, InvalidInputsError, ...); for a
                crash HandlerCrashedError, whose `__cause__` is what the handler raised.
            TaskCancelled: `cancel_at` was reached.
        """
        if not isinstance(cancel_at, float | int | None):
            raise MisuseError(f"cancel_at is a progress from 0 to 1, not {named(cancel_at)}; write cancel_at=0.5")
        kernels = {"prompt": prompt, "agent_id": agent_id, "_aggregation_signal": signal}
        if isinstance(inputs, dict):
            inputs = {**inputs, **{key: value for key, value in kernels.items() if value is not None}}
        task_type, profile = self._which(task_type, profile)
        request = execute_body(inputs, task_type=task_type, profile=profile, contract=contract)
        if cancel_at is not None:
            self._reports.cancels[request["execution_id"]] = cancel_at
        return self._done(self.send("/execute", request), request, cancel_at is not None)

    def verify(self, done: Done, *, policy: Mapping[str, Json] | None = None, output: Json = None) -> Judged:
        """Have what was done judged as a kernel would ask for it.

        Args:
            done: an answered execute.
            policy: the policy binding, in place of the contract's.
            output: another output in place of the one that was answered.

        Raises:
            ExecutorError: the refusal or failure as its author knows it.
        """
        if not isinstance(done, Done):
            raise MisuseError(f"rt.verify takes what rt.execute returned, not {named(done)}; write rt.verify(done)")
        # Never the same body twice: the executor would replay its verdict instead of looking again.
        body = verify_body(
            Asked(done.request, done.answer),
            output=... if output is None else output,
            policy=policy,
            created_at=next(self._created_ms),
        )
        answered = self._accepted(self.send("/verify", body))
        verdict = view(answered, VerifyAnswer)
        return Judged(derived_status(verdict), verdict.score, verdict.reason_codes, answered)

    def fuzz(
        self, count: int = 100, *, seed: int = 0, task_type: str | None = None, profile: str | None = None
    ) -> None:
        """Have `count` tasks done with inputs that are drawn from the published schema, the same for the same seed.

        A handler may refuse inputs, say TryLater, or find that there is nothing to fetch; it may not fail.

        Raises:
            AssertionError: it crashed, overran its time or gave an output that no kernel takes; with the inputs, and
                the error as its cause.
            UndrawableError: the schema has a pattern, or the like, that chance does not meet.
        """
        task_type, profile = self._which(task_type, profile)
        schema = self._executor.registry.find(task_type, profile).input_schema
        for number in range(count):
            inputs = drawn(schema, f"{seed}/{number}", ODD_TEXTS)
            try:
                self.execute(inputs, task_type=task_type, profile=profile)
            except (RequestError, TryLater, FetchError):
                continue
            except ExecutorError as error:
                given = declared_bytes(inputs).decode()
                raise AssertionError(f"{task_type} fails on {given:.2000}: {error.message}") from error

    def agent_event(self, event_type: str, payload: Json = None, **fields: Json) -> Reacted:
        """Tell of an event as a kernel would.

        Args:
            event_type: what happened, as "dm_received".
            payload: what the function finds in `event.payload`.
            fields: further fields of the event, as `allowed_actions=["reply"]`; one `dedupe_key` is one event.

        Raises:
            ExecutorError: the refusal or failure as its author knows it.
        """
        body = agent_event_body(event_type, payload, **{"created_at": now_ms(), **fields})
        answered = self._accepted(self.send("/agent-events", body))
        return Reacted(answered["ok"], answered.get("decision"), answered)

    def capabilities(self) -> dict[str, Json]:
        """The document of `/capabilities`."""
        return self.call(self.client.describe)

    def send(self, path: str, body: bytes | Mapping[str, Json]) -> Answer:
        """Post any body, as it stands; whatever is answered."""
        return self.call(lambda: self.client.send("POST", path, body))

    def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Await something in the executor's event loop, as `rt.call(rt.client.capabilities)`."""
        given: object = ask
        if inspect.iscoroutine(given):
            given.close()
            raise MisuseError("rt.call takes a function, not what it returns; write rt.call(rt.client.describe)")
        if self.has_ended:
            raise MisuseError("the executor has stopped; call it inside of `with in_process(executor) as rt:`")
        return self._portal.call(self._awaited, ask)

    async def _awaited(self, ask: Callable[[], Awaitable[T]]) -> T:
        with self._passing():
            return await ask()

    def _which(self, task_type: str | None, profile: str | None) -> tuple[str, str]:
        registry = self._executor.registry
        if task_type is None:
            if len(registry.task_types) != 1:
                if not registry.task_types:
                    raise DefinitionError("the executor does nothing yet; write @executor.execute above a function")
                raise DefinitionError(f"say which task_type: {', '.join(registry.task_types)}")
            task_type = registry.task_types[0]
        profiles = [one for handler in registry.handlers if handler.task_type == task_type for one in handler.profiles]
        return task_type, profile or (profiles[0] if profiles else "default")

    def _done(self, answer: Answer, request: dict[str, Json], may_be_cancelled: bool) -> Done:
        try:
            body = self._accepted(answer)
        except TaskLostError:
            if may_be_cancelled:
                raise TaskCancelled("the work was cancelled at the progress that the test named") from None
            raise
        answered = view(body, ExecuteAnswer)
        handler = self._executor.registry.find(request["task_type"], request["profile"])
        output = handler.output_shape.read(declared_bytes(answered.candidate_output))
        progress, partials = self._reports.of(request["execution_id"])
        return Done(output, answered.evidence_inline, answered.evidence_refs, body, request, progress, partials)

    def _accepted(self, answer: Answer) -> dict[str, Json]:
        if not answer.is_success:
            error = error_in(answer)
            raise error from self._crashes.cause_of(error)
        body: dict[str, Json] = parse(answer.body)
        return body


class _Reports:
    """What handlers have reported, by execution id; and at which progress a test cancels."""

    def __init__(self) -> None:
        self.cancels: dict[str, float] = {}
        self._heard: dict[str, tuple[list[tuple[float, str]], list[Json]]] = {}

    def hear(self, key: Key, fraction: float, note: str, partial: bytes | None) -> str | None:
        """Keep one report; the reason to cancel, if the test does."""
        progress, partials = self._heard.setdefault(key[2], ([], []))
        if partial is None:
            progress.append((fraction, note))
        else:
            partials.append(parse(partial))
        return "the test cancels here" if fraction >= self.cancels.get(key[2], 2.0) else None

    def of(self, execution_id: str) -> tuple[list[tuple[float, str]], list[Json]]:
        """What was heard of one call; it is not kept any longer."""
        return self._heard.pop(execution_id, ([], []))


class _Crashes(logging.Handler):
    """What crashed handlers have raised, by the reference that the answer tells of it: from the log, in which alone it
    stands."""

    def __init__(self) -> None:
        super().__init__()
        self._raised: dict[str, BaseException] = {}

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Hear the log."""
        logger = logging.getLogger(calling.__name__)
        logger.addHandler(self)
        try:
            yield self
        finally:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what the record tells of."""
        if record.exc_info and (error := record.exc_info[1]) is not None:
            self._raised[record.__dict__["reference"]] = error

    def cause_of(self, error: ExecutorError) -> BaseException | None:
        """What the handler raised, if `error` is its crash."""
        details = error.details if isinstance(error.details, dict) else {}
        return self._raised.pop(details.get("reference", ""), None)


def error_in(answer: Answer) -> ExecutorError:
    """The error that `answer` tells of; an ExecutorRefusedError if it has not the kit's shape."""
    try:
        error = parse(answer.body)["error"]
        code, message, details = error["code"], error["message"], error.get("details")
    except (NotJsonError, LookupError, TypeError, AttributeError):
        return ExecutorRefusedError(
            f"answered {answer.status}", status=answer.status, reason_phrase=answer.reason_phrase, answer=answer.excerpt
        )
    if code in {FetchError.code, UnfetchableError.code} and isinstance(details, dict):
        reason = ReasonCode(details["reason_code"])
        return FetchError(reason, message) if code == FetchError.code else UnfetchableError(message, reason)
    if code == TryLater.code:
        return TryLater(message, after_s=answer.after_s, details=details)
    for kind in _kinds(RequestError, TaskError):
        if kind.code == code and kind is not Refuse:
            return kind(message, details=details)
    return _of_author(answer.status, code, message, details)


def _of_author(status: int, code: str, message: str, details: Json) -> ExecutorError:
    """An error whose code is none of ours: a refusal only where the status is that of one."""
    if status < 500:
        return Refuse(code, message, details=details)
    error = TaskError(message, details=details)
    error.code = code
    return error


def _kinds(*roots: type[ExecutorError]) -> Iterator[type[ExecutorError]]:
    for root in roots:
        yield root
        yield from _kinds(*root.__subclasses__())
