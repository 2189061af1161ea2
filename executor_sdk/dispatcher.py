"""The dispatcher: a request body in, an answer out. It finds the handler, builds its task, and knows no transport."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TypeVar

import anyio.to_thread

from executor_sdk.artifacts.store import ArtifactStore, artifact_uri
from executor_sdk.authoring.handler import Bound, Handler
from executor_sdk.authoring.registry import Registry
from executor_sdk.authoring.task import Task
from executor_sdk.authoring.verdict import Verdict
from executor_sdk.authoring.verifier import Verifier
from executor_sdk.errors import ExecutorError, InvalidOutputError, MalformedRequestError
from executor_sdk.executions.admission import Lane
from executor_sdk.executions.executions import Answer, Executions, How, Plan
from executor_sdk.executions.live import LiveWork
from executor_sdk.executions.outcomes import answered, failed
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Ask, Key, Outcome, Work
from executor_sdk.executions.step import step_of
from executor_sdk.policies.builtin import Evaluation, bind
from executor_sdk.policies.candidates import OutputRules
from executor_sdk.policies.schemas import UnusableSchemaError
from executor_sdk.policies.verdicts import Judgement, by_policy, lowered, verdict_answer
from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.digests import content_digest, evidence_ref
from executor_sdk.protocol.plain import Json, NotJsonError, parse
from executor_sdk.protocol.wire import EvidenceRef, ExecuteRequest, VerifyRequest, WireError, view
from executor_sdk.settings import Settings

T = TypeVar("T")

#: Characters of an execution id or task id; a ledger keeps them.
MAX_ID: Final = 512


class Fetcher(Protocol):
    """Brings bytes from outside, guarded."""

    async def fetch(self, uri: str, *, max_bytes: int | None = None) -> bytes:
        """The bytes at `uri`."""

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        """The bytes that `ref` names, checked against its digest."""


class Dispatcher:
    """Answers the four endpoints for any transport."""

    def __init__(
        self,
        registry: Registry,
        executions: Executions,
        settings: Settings,
        *,
        artifacts: ArtifactStore,
        fetcher: Fetcher,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._registry = registry
        self._executions = executions
        self._settings = settings
        self._artifacts = artifacts
        self._fetcher = fetcher
        self._clock = clock
        self._lanes: dict[tuple[str, tuple[str, ...]], Lane] = {}
        self._verify_lane = Lane("verify")

    async def execute(self, body: bytes, caller: str = "", presence: Presence[Work] | None = None) -> Answer | None:
        """Answer `POST /execute`; None if the caller went away first.

        Raises:
            ExecutorError: the request is refused, or no work can be done for it now. What a handler raises is an
                answer like any other, so that copies get it too.
        """
        value = _parsed(body, self._settings.max_depth)
        request = _viewed(value, ExecuteRequest)
        _check_ids(request)
        _check_schema(request)
        handler = self._registry.find(request.task_type, request.profile)
        bound = handler.bind(request.inputs)
        step_key, step = step_of(request, caller)
        ask = Ask(("execute", request.execution_id), body, step if handler.adopt else None)
        plan = Plan(
            self._lane(handler),
            handler.linger_s,
            partial(self._produce, handler=handler, bound=bound, request=request, step_key=step_key),
        )
        return await self._executions.run(ask, plan, presence)

    async def verify(self, body: bytes, caller: str = "", presence: Presence[Work] | None = None) -> Answer | None:
        """Answer `POST /verify`: the policy judges first, then the author's verifier, which may only lower.

        Raises:
            ExecutorError: the request is refused, or cannot be judged now.
        """
        request = _viewed(_parsed(body, self._settings.max_depth), VerifyRequest)
        policy = bind(request.policy)
        evaluation = policy.judge(
            declared_bytes(request.output_schema),
            declared_bytes(request.candidate.output),
            request.policy.policy_params,
        )
        verifier = self._registry.verifier
        if verifier is None or not evaluation.passed:
            # Judging by the policy alone is over in microseconds: nothing to join, nothing worth remembering.
            return Answer(None, self._verdict(request, by_policy(evaluation)), How.OPENED)
        ask = Ask(("verify", _digest(body).hex()), body)
        plan = Plan(
            self._verify_lane,
            self._settings.linger_ms / 1000,
            partial(self._judge, verifier=verifier, request=request, evaluation=evaluation),
        )
        return await self._executions.run(ask, plan, presence)

    async def answered(self, answer: Answer) -> None:
        """The transport sent this answer whole, to a caller that was still there."""
        await self._executions.answered(answer)

    async def cancel(self, key: Key, reason: str) -> Work | None:
        """Withdraw one ask; None if it is unknown."""
        return await self._executions.cancel(key, reason)

    async def capabilities(self) -> Outcome:
        """Answer `GET /capabilities`."""
        return answered(self._registry.capabilities())

    async def health(self) -> Outcome:
        """Answer `GET /health`. A full house is healthy: who asks next may be a copy, which needs no slot."""
        admission = self._executions.admission
        load: dict[str, Json] = {"running": admission.running, "waiting": admission.waiting}
        if self._executions.draining:
            return answered({"status": "draining", **load}, status=503)
        check = self._registry.health_check
        healthy, details = (True, {}) if check is None else await check.ask()
        status = "ok" if healthy else "unhealthy"
        return answered({**details, "status": status, **load}, status=200 if healthy else 503)

    async def drain(self) -> None:
        """The server stops: open nothing new, and let running work end."""
        await self._executions.drain()

    async def _produce(
        self, live: LiveWork, *, handler: Handler, bound: Bound, request: ExecuteRequest, step_key: str
    ) -> Outcome:
        ports = _TaskPorts(live, self._fetcher, self._registry, self._clock)
        deadline_ms = self._clock() + int(handler.timeout_s * 1000)
        task = Task(request, ports, step_key=step_key, deadline_ms=deadline_ms)
        try:
            produced = await handler.call(bound, task)
            answer = {
                "candidate_output": produced.output,
                "evidence_inline": produced.evidence_inline,
                "evidence_refs": produced.evidence_refs,
            }
            body = _encoded(answer)
            found = OutputRules.of(request.task_contract).breaches(answer, encoded=body)
            if found or body is None:
                raise InvalidOutputError(str(found[0]), details=[breach.details() for breach in found])
            await ports.keep(self._artifacts)
        except ExecutorError as error:
            return failed(error)
        return Outcome(200, body)

    async def _judge(
        self, live: LiveWork, *, verifier: Verifier, request: VerifyRequest, evaluation: Evaluation
    ) -> Outcome:
        ports = _TaskPorts(live, self._fetcher, self._registry, self._clock)
        try:
            verdict = await verifier.judge(request.candidate, ports)
        except ExecutorError as error:
            return failed(error)
        return self._verdict(request, lowered(evaluation, _judgement(verdict), bind(request.policy)))

    def _verdict(self, request: VerifyRequest, judged: Judgement) -> Outcome:
        return answered(
            verdict_answer(
                status=judged.status,
                score=judged.score,
                reason_codes=judged.reason_codes,
                candidate_id=request.candidate.candidate_id,
                execution_id=request.candidate.execution_id,
                policy_hash=request.policy.policy_hash,
                provider_family=self._registry.provider_family,
                model_id=self._registry.model_id,
                message=judged.message,
            )
        )

    def _lane(self, handler: Handler) -> Lane:
        name = (handler.task_type, handler.profiles)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(f"{name}", handler.max_concurrency)
        return lane


class _TaskPorts:
    """What a running task may ask of its surroundings."""

    __slots__ = ("_clock", "_fetcher", "_live", "_registry", "_written")

    def __init__(self, live: LiveWork, fetcher: Fetcher, registry: Registry, clock: Callable[[], int]) -> None:
        self._live = live
        self._fetcher = fetcher
        self._registry = registry
        self._clock = clock
        self._written: list[bytes] = []

    def progress(self, fraction: float, note: str) -> None:
        self._live.progress(fraction, note)

    def cancelled(self) -> bool:
        return self._live.cancelled()

    async def fetch(self, uri: str, *, max_bytes: int | None) -> bytes:
        return await self._fetcher.fetch(uri, max_bytes=max_bytes)

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        return await self._fetcher.fetch_ref(ref)

    def store_artifact(self, data: bytes, mime: str) -> dict[str, Json]:
        self._written.append(data)
        producer = f"{self._registry.provider_family}/{self._registry.model_id}"
        uri = artifact_uri(content_digest(data))
        return evidence_ref(data, uri=uri, mime=mime, created_at=self._clock(), producer=producer)

    async def keep(self, artifacts: ArtifactStore) -> None:
        """Write what was stored, before the answer that cites it leaves; the disk is waited for in a thread."""
        if self._written:
            await anyio.to_thread.run_sync(_write_all, artifacts, self._written)


def _write_all(artifacts: ArtifactStore, written: list[bytes]) -> None:
    for data in written:
        artifacts.write(data)


def _digest(data: bytes) -> bytes:
    # Not a digest of the wire, so it may be the quickest that is strong: SHA-256 takes twice as long.
    return hashlib.blake2b(data, digest_size=16).digest()


def _encoded(answer: Json) -> bytes | None:
    """The bytes of an answer; None if it is no JSON, of which the rules for candidates tell more."""
    try:
        return declared_bytes(answer)
    except TypeError:
        return None


def _parsed(body: bytes, max_depth: int) -> Json:
    try:
        return parse(body, max_depth=max_depth)
    except NotJsonError as error:
        raise MalformedRequestError(f"the body is not JSON: {error}") from None


def _viewed(value: Json, kind: type[T]) -> T:
    try:
        return view(value, kind)
    except WireError as error:
        raise MalformedRequestError(f"the body is not what this endpoint takes: {error}") from None


def _check_ids(request: ExecuteRequest) -> None:
    for name, text in (("execution_id", request.execution_id), ("task_id", request.task_id)):
        if not text.strip() or len(text) > MAX_ID:
            raise MalformedRequestError(f"{name} must not be blank nor longer than {MAX_ID} characters")


def _check_schema(request: ExecuteRequest) -> None:
    try:
        OutputRules.of(request.task_contract).digest()
    except UnusableSchemaError as error:
        sentence = f"no output can be checked against task_contract.output_schema: {error}"
        raise MalformedRequestError(sentence) from None


def _judgement(verdict: Verdict) -> Judgement:
    """A score that the author leaves to the policy is the highest on a pass, else 0."""
    left = 1.0 if verdict.status == "passed" else 0.0
    score = left if verdict.score is None else verdict.score
    return Judgement(verdict.status, score, verdict.reason_codes, verdict.message)
