"""The dispatcher: a request body in, a reply out. It finds the handler, builds its task, and knows no transport."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias, TypeVar

from executor_sdk.artifacts.store import ArtifactStore
from executor_sdk.authoring.calling import Surroundings
from executor_sdk.authoring.event_handler import EventHandler
from executor_sdk.authoring.handler import Handler
from executor_sdk.authoring.health import THREADS
from executor_sdk.authoring.ports import Fetcher, Ports
from executor_sdk.authoring.registry import HandlerRegistry
from executor_sdk.authoring.task import Task
from executor_sdk.authoring.threads import Threads, left_behind
from executor_sdk.authoring.verdict import Verdict
from executor_sdk.authoring.verifier import Verifier
from executor_sdk.cancelling import Alarms
from executor_sdk.errors import ExecutorError, InvalidOutputError, MalformedRequestError, UnknownEventTypeError
from executor_sdk.executions.admission import Lane
from executor_sdk.executions.clocks import SteadyClock
from executor_sdk.executions.executions import Executions
from executor_sdk.executions.live import LiveWork
from executor_sdk.executions.outcomes import CRASHED, answered, failed
from executor_sdk.executions.plan import Plan, Reply
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Ask, Key, Outcome, Work
from executor_sdk.executions.step import step_of
from executor_sdk.policies.builtin import Evaluation, bind
from executor_sdk.policies.candidates import OutputRules
from executor_sdk.policies.judging import Judging
from executor_sdk.policies.schemas import UnusableSchemaError, is_costly
from executor_sdk.policies.verdicts import Judgement, by_policy, lowered, verdict_answer
from executor_sdk.protocol.agent_events import AgentEventRequest, EventText, event_answer
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.incoming import DIGEST_BYTES, ExecuteRequest, VerifyRequest
from executor_sdk.protocol.plain import Json, NotJsonError
from executor_sdk.protocol.wire import WireError
from executor_sdk.settings import Settings

T = TypeVar("T", ExecuteRequest, VerifyRequest, AgentEventRequest)

#: Characters of an execution id, a task id or the key of an event; a ledger keeps them.
MAX_ID: Final = 512

#: A body from this size on is read beside the event loop, which would stand still for it.
LARGE_BYTES: Final = 256 * 1024

#: Header fields as they came, with lower-case names.
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)


class _Prepared(NamedTuple):
    """What is the same for every task of one handler in one application."""

    handler: Handler
    lane: Lane
    linger_s: float
    adopts: bool
    alarms: Alarms


class Dispatcher:
    """Answers the endpoints for any transport."""

    def __init__(
        self,
        registry: HandlerRegistry,
        executions: Executions,
        settings: Settings,
        around: Surroundings,
        *,
        artifacts: ArtifactStore,
        fetcher: Fetcher,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._registry = registry
        self._executions = executions
        self._settings = settings
        self._around = around
        self._around_health = Surroundings(Threads(THREADS), around.overrides, around.state)
        self._artifacts = artifacts
        self._fetcher = fetcher
        self._clock = clock or SteadyClock()
        self._producer = f"{registry.provider_family}/{registry.model_id}"
        self._prepared: dict[Handler, _Prepared] = {}
        self._verify_lane = Lane("verify")
        self._verify_alarms = Alarms(settings.verify_timeout_s)
        self._event_lanes: dict[EventHandler, tuple[Lane, Alarms]] = {}
        self._judging = Judging(max_waiting=settings.max_judging, max_bytes=settings.max_judging_bytes)

    async def start(self) -> None:
        """Open what must be open before the first request.

        Raises:
            LedgerError: the ledger cannot be opened.
        """
        await self._executions.start()

    def execute(
        self,
        body: bytes,
        caller: str = "",
        presence: Presence[Work] | None = None,
        *,
        wants_new_work: bool = False,
        headers: Headers = (),
    ) -> Awaitable[Reply | None]:
        """Answer `POST /execute`; None if the caller went away first. Whatever goes wrong is a reply, too.

        `wants_new_work` is for a caller whom the work of earlier attempts does not serve; `headers` came with the body.
        Not a coroutine of its own: while a copy waits, nothing of this call may hold the body.
        """
        try:
            request = None if len(body) >= LARGE_BYTES else _read(ExecuteRequest, body, self._settings.max_depth)
            if request is None or is_costly(request.output_schema_text, 0):
                return self._execute_beside(body, caller, presence, wants_new_work, headers)
            ask, plan = self._asked(request, caller, wants_new_work, headers)
        except Exception as error:  # noqa: BLE001 - every failure is answered
            return _refusing(error)
        return self._run(ask, plan, presence)

    async def verify(self, body: bytes, caller: str = "", presence: Presence[Work] | None = None) -> Reply | None:
        """Answer `POST /verify`: the policy judges first, then the author's verifier, which may only lower.

        None if the caller went away first. Whatever goes wrong is a reply, too.
        """
        try:
            return await self._verify(body, caller, presence)
        except Exception as error:  # noqa: BLE001 - every failure is answered
            return await _refusing(error)

    @property
    def hears_events(self) -> bool:
        """Whether anybody handles agent events."""
        return bool(self._registry.event_handlers)

    async def agent_event(self, body: bytes, caller: str = "", presence: Presence[Work] | None = None) -> Reply | None:
        """Answer `POST /agent-events`: deliveries of one event are one work, and the first that ends well its last.

        None if the caller went away first. Whatever goes wrong is a reply, too.
        """
        try:
            asked = partial(self._asked_about, body, caller)
            ask, plan = asked() if len(body) < LARGE_BYTES else await self._judging.beside(asked, len(body))
        except Exception as error:  # noqa: BLE001 - every failure is answered
            return await _refusing(error)
        run = self._run(ask, plan, presence)
        del body, asked, plan
        return await run

    async def answered(self, keys: Sequence[Key]) -> None:
        """The transport sent the replies to these asks whole, each to a caller that was still there."""
        await self._executions.answered(keys)

    async def cancel(self, key: Key, reason: str) -> Work | None:
        """Withdraw one ask; None if it is unknown."""
        return await self._executions.cancel(key, reason)

    async def capabilities(self) -> Outcome:
        """Answer `GET /capabilities`."""
        return answered(self._registry.capabilities(self._settings))

    async def health(self) -> Outcome:
        """Answer `GET /health`. A full house is healthy: who asks next may be a copy, which needs no slot."""
        load = self._executions.load
        if self._executions.draining:
            return answered({"status": "draining", **load}, status=503)
        if (failure := self._executions.failure) is not None:
            return answered({"status": "unhealthy", "message": failure, **load}, status=503)
        check = self._registry.health_check
        healthy, details = (True, {}) if check is None else await check.ask(self._around_health)
        status = "ok" if healthy else "unhealthy"
        return answered({**details, "status": status, **load}, status=200 if healthy else 503)

    async def drain(self) -> None:
        """The server stops: open nothing new, and let running work end."""
        await self._executions.drain()

    async def _execute_beside(
        self, body: bytes, caller: str, presence: Presence[Work] | None, wants_new_work: bool, headers: Headers
    ) -> Reply | None:
        try:
            asked = await self._judging.beside(
                partial(self._asked_in, body, caller, wants_new_work, headers), len(body)
            )
        except Exception as error:  # noqa: BLE001 - every failure is answered
            return await _refusing(error)
        run = self._run(*asked, presence)
        del asked, body
        return await run

    def _asked_in(self, body: bytes, caller: str, wants_new_work: bool, headers: Headers) -> tuple[Ask, Plan]:
        return self._asked(_read(ExecuteRequest, body, self._settings.max_depth), caller, wants_new_work, headers)

    def _asked(self, request: ExecuteRequest, caller: str, wants_new_work: bool, headers: Headers) -> tuple[Ask, Plan]:
        _check_ids(("execution_id", request.execution_id), ("task_id", request.task_id))
        handler = self._registry.find(request.task_type, request.profile)
        prepared = self._prepared.get(handler) or self._prepare(handler)
        rules, schema_digest = _rules(request)
        inputs = handler.read(request.inputs, request.inputs_text)
        step_digest, step = step_of(request, caller, schema_digest)
        try:
            digest = request.digest(step_digest)
        except NotJsonError as error:
            raise MalformedRequestError(f"the body is not JSON: {error}") from None
        ask = Ask(
            (caller, "execute", request.execution_id),
            digest,
            step if prepared.adopts else None,
            wants_new_work,
        )
        perform = partial(
            self._produce,
            prepared=prepared,
            rules=rules,
            request=request,
            inputs=inputs,
            step_digest=step_digest,
            headers=headers,
        )
        return ask, Plan(prepared.lane, prepared.linger_s, perform, request.size_bytes, handler.task_type)

    async def _run(self, ask: Ask, plan: Plan | None, presence: Presence[Work] | None) -> Reply | None:
        run = self._executions.run(ask, plan, presence)
        # From here on the executions alone hold the plan, with the body in it; and they let it go.
        plan = None
        try:
            return await run
        except Exception as error:  # noqa: BLE001 - every failure is answered
            return await _refusing(error)

    def _prepare(self, handler: Handler) -> _Prepared:
        settings = self._settings
        lane = Lane(f"{handler.task_type} {handler.profiles}", handler.max_concurrency)
        alarms = Alarms(handler.timeout_s(settings))
        made = _Prepared(handler, lane, handler.linger_s(settings), handler.adopts(settings), alarms)
        return self._prepared.setdefault(handler, made)

    async def _produce(
        self,
        live: LiveWork,
        *,
        prepared: _Prepared,
        rules: OutputRules,
        request: ExecuteRequest,
        inputs: object,
        step_digest: bytes,
        headers: Headers,
    ) -> Outcome:
        alarms = prepared.alarms
        ports = Ports(live, self._fetcher, producer=self._producer, clock=self._clock)
        deadline_ms = self._clock() + int(alarms.after_s * 1000)
        task = Task(request, ports, step_digest=step_digest, deadline_ms=deadline_ms, headers=headers)
        threads: list[asyncio.Future[None]] = []
        left_behind.set(threads)
        try:
            produced = await prepared.handler.call(inputs, task, self._around, alarms)
            answer = {
                "candidate_output": produced.output,
                "evidence_inline": produced.evidence_inline,
                "evidence_refs": produced.evidence_refs,
            }
            if produced.metrics:
                # Kernels read the three above and no more; a candidate's hash is made of those.
                answer["metrics"] = produced.metrics
            body = _encoded(answer)
            if body is not None and is_costly(rules.schema, len(body)):
                found = await self._judging.beside(partial(rules.breaches, answer, encoded=body), len(body))
            else:
                found = rules.breaches(answer, encoded=body)
            if found or body is None:
                raise InvalidOutputError(str(found[0]), details=[breach.details() for breach in found])
            if ports.holds_artifacts:
                await ports.keep(self._artifacts)
        except ExecutorError as error:
            return failed(error)
        finally:
            _note(live, threads)
        return Outcome(200, body)

    async def _verify(self, body: bytes, caller: str, presence: Presence[Work] | None) -> Reply | None:
        if len(body) >= LARGE_BYTES:
            read = partial(_read, VerifyRequest, body, self._settings.max_depth)
            request = await self._judging.beside(read, len(body))
        else:
            request = _read(VerifyRequest, body, self._settings.max_depth)
        policy = bind(request.policy)
        schema, output = request.output_schema_text, request.output_text
        judge = partial(policy.judge, schema, output, request.policy.policy_params)
        evaluation = await self._judging.run(judge, schema, len(output), len(body))
        proposed: Key = (caller, "execute", request.candidate.execution_id)
        if not self._registry.verifiers or not evaluation.passed:
            # Judging by the policy alone is over in microseconds: nothing to join, nothing worth remembering.
            return Reply(None, await self._told(request, by_policy(evaluation), proposed))
        digest = blake2b(body, digest_size=DIGEST_BYTES)
        ask = Ask((caller, "verify", digest.hexdigest()), digest.digest())
        perform = partial(self._judge, request=request, evaluation=evaluation, proposed=proposed)
        run = self._run(ask, Plan(self._verify_lane, self._settings.linger_ms / 1000, perform, len(body)), presence)
        del body, request, schema, output, judge, perform
        return await run

    async def _judge(self, live: LiveWork, *, request: VerifyRequest, evaluation: Evaluation, proposed: Key) -> Outcome:
        threads: list[asyncio.Future[None]] = []
        left_behind.set(threads)
        try:
            verdict = await self._verdict(request, proposed)
        except ExecutorError as error:
            return failed(error)
        finally:
            _note(live, threads)
        if verdict is None:
            return await self._told(request, by_policy(evaluation), proposed)
        return await self._told(request, lowered(evaluation, _judgement(verdict), bind(request.policy)), proposed)

    async def _verdict(self, request: VerifyRequest, proposed: Key) -> Verdict | None:
        """What the author says; None where no verifier is for such candidates."""
        task_type: str | None = None
        judge: Verifier | Verdict | None = self._registry.only_verifier
        if judge is None:
            work = await self._executions.find(proposed)
            task_type = None if work is None else work.task_type
            judge = self._registry.verifiers.choose(task_type, request.output_text)
        if isinstance(judge, Verifier):
            return await judge.judge(request.candidate, task_type, self._fetcher, self._around, self._verify_alarms)
        return judge

    def _asked_about(self, body: bytes, caller: str) -> tuple[Ask, Plan]:
        request = _read(AgentEventRequest, body, self._settings.max_depth)
        event = request.event
        _check_ids(("event_id", event.event_id), ("dedupe_key", event.dedupe_key or event.event_id))
        handler = self._registry.event_handlers.find(event.event_type)
        if handler is None:
            raise UnknownEventTypeError(f"nobody here handles agent events of type {event.event_type[:100]!r}")
        payload = handler.shape.read(bytes(event.payload))
        if (lane := self._event_lanes.get(handler)) is None:
            alarms = Alarms(handler.timeout_s(self._settings))
            lane = (Lane(f"event {handler.kinds}", handler.limits.max_concurrency), alarms)
            lane = self._event_lanes.setdefault(handler, lane)
        perform = partial(self._decide, handler=handler, event=event, payload=payload, alarms=lane[1])
        ask = Ask((caller, "event", request.name), request.digest())
        return ask, Plan(lane[0], self._settings.linger_ms / 1000, perform, len(body))

    async def _decide(
        self, live: LiveWork, *, handler: EventHandler, event: EventText, payload: object, alarms: Alarms
    ) -> Outcome:
        threads: list[asyncio.Future[None]] = []
        left_behind.set(threads)
        try:
            decided = await handler.decide(event, payload, self._around, alarms)
        except ExecutorError as error:
            return failed(error)
        finally:
            _note(live, threads)
        told = event_answer(
            event, ok=decided.ok, acked_at=self._clock(), detail=decided.detail, decision=decided.decision
        )
        return answered(told)

    async def _told(self, request: VerifyRequest, judgement: Judgement, proposed: Key) -> Outcome:
        """The verdict as it goes out. A caller told anything but `passed` may want new work from now on."""
        if judgement.status != "passed":
            await self._executions.turn_down(proposed)
        return answered(
            verdict_answer(
                status=judgement.status,
                score=judgement.score,
                reason_codes=judgement.reason_codes,
                candidate_id=request.candidate.candidate_id,
                execution_id=request.candidate.execution_id,
                policy_hash=request.policy.policy_hash,
                provider_family=self._registry.provider_family,
                model_id=self._registry.model_id,
                message=judgement.message,
            )
        )


async def _refusing(error: Exception) -> Reply:
    """The reply to a call that failed: what the error says, or where it is a fault of ours, that the log has more."""
    if isinstance(error, ExecutorError):
        return Reply(None, failed(error))
    logger.error("a request failed", exc_info=error)
    return Reply(None, CRASHED)


def _note(live: LiveWork, threads: list[asyncio.Future[None]]) -> None:
    """Tell the work of threads that outlast it."""
    if threads:
        live.rest = asyncio.gather(*threads)


def _encoded(answer: Json) -> bytes | None:
    """The bytes of an answer; None if it is no JSON, of which the rules for candidates tell more."""
    try:
        return declared_bytes(answer)
    except TypeError:
        return None


def _read(kind: type[T], body: bytes, max_depth: int) -> T:
    try:
        return kind(body, max_depth=max_depth)
    except NotJsonError as error:
        raise MalformedRequestError(f"the body is not JSON: {error}") from None
    except WireError as error:
        raise MalformedRequestError(f"the body is not what this endpoint takes: {error}") from None


def _check_ids(*ids: tuple[str, str]) -> None:
    for name, text in ids:
        if not text.strip() or len(text) > MAX_ID:
            raise MalformedRequestError(f"{name} must not be blank nor longer than {MAX_ID} characters")


def _rules(request: ExecuteRequest) -> tuple[OutputRules, str]:
    rules = OutputRules.read(request.output_schema_text, request.evidence_policy_text)
    try:
        return rules, rules.digest()
    except UnusableSchemaError as error:
        sentence = f"no output can be checked against task_contract.output_schema: {error}"
        raise MalformedRequestError(sentence) from None


def _judgement(verdict: Verdict) -> Judgement:
    """A score that the author leaves to the policy is the highest on a pass, else 0."""
    left = 1.0 if verdict.status == "passed" else 0.0
    score = left if verdict.score is None else verdict.score
    return Judgement(verdict.status, score, verdict.reason_codes, verdict.message)
