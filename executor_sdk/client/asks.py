"""One task by hand: what an executor offers for it, and the bodies that a kernel sends for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

from pydantic import BaseModel, TypeAdapter, ValidationError

from executor_sdk.misuse import MisuseError, named
from executor_sdk.protocol.canonical import declared_bytes, sorted_bytes
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import (
    EXPIRY_AFTER_MS,
    execute_request,
    propose,
    sample_contract,
    verify_request,
)
from executor_sdk.protocol.wire import Metric, metrics_in

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A task that was done: the body of `/execute` as it was sent, and the plain JSON of the answer."""

    request: dict[str, Json]
    answer: dict[str, Json]

    @property
    def evidence_inline(self) -> list[dict[str, Json]]:
        """The evidence in the answer itself, each with `mime` and `content`."""
        return list(self.answer["evidence_inline"])

    @property
    def evidence_refs(self) -> list[dict[str, Json]]:
        """References to evidence elsewhere."""
        return list(self.answer["evidence_refs"])

    @property
    def metrics(self) -> dict[str, Metric]:
        """What was used on the way, by name, where the executor tells it: `metrics["tokens"].value`."""
        return metrics_in(self.answer)


@dataclass(frozen=True)
class Answered(Asked, Generic[T]):
    """A task that was done, with the output as the type that was asked for; plain JSON where none was."""

    output: T


class AskingTask(Protocol):
    """The work on whose behalf another executor is asked; a handler's `Task` is one."""

    @property
    def step_key(self) -> str:
        """The same for all attempts at the step."""

    @property
    def execution_id(self) -> str:
        """The same for all copies of the attempt."""

    @property
    def attempt(self) -> int:
        """Which attempt it is, from 1 on."""

    @property
    def contract(self) -> Mapping[str, Json]:
        """The task contract of the attempt."""


def on_behalf(body: Mapping[str, Json], work: AskingTask) -> dict[str, Json]:
    """`body` of `/execute` with ids that derive from the work's and from what is asked.

    Asked again, by a copy or after a restart, the other executor sees the same ask; a later attempt of the work is a
    later attempt there; and whatever else the work asks is another step.
    """
    inputs = body["inputs"]
    agent_id = inputs.get("agent_id", "agent") if isinstance(inputs, dict) else "agent"
    if isinstance(inputs, dict):
        # Executors read from it which part of the task id counts attempts.
        inputs = {**inputs, "agent_id": agent_id}
    step = _digest([work.step_key, body["task_type"], body["profile"], inputs])
    task_id = f"run-{step}-{agent_id}-{work.attempt}"
    execution_id = f"exec-p-{_digest([work.execution_id, step])}"
    ids = {"task_id": task_id, "task_type": body["task_type"], "inputs": inputs}
    contract = {**body["task_contract"], **ids}
    if "expiry_ms" in work.contract:
        # Not the time of this call: the same ask has the same body.
        contract["expiry_ms"] = work.contract["expiry_ms"]
    return {**body, **ids, "execution_id": execution_id, "attempt_id": execution_id, "task_contract": contract}


def output_as(kind: Any, answer: Mapping[str, Json]) -> Any:
    """The output of an answer as `kind`; None takes it as it is.

    Raises:
        ValueError: it does not fit; the message names the place.
    """
    output = answer["candidate_output"]
    if kind is None:
        return output
    try:
        return _adapter(kind).validate_json(declared_bytes(output))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        name = getattr(kind, "__name__", kind)
        raise ValueError(f"an output that is no {name}: ${place}: {first['msg']}") from None


def execute_body(
    inputs: Json,
    *,
    task_type: str,
    profile: str = "default",
    contract: Mapping[str, Json] | None = None,
    run_id: str | None = None,
    execution_id: str | None = None,
) -> dict[str, Json]:
    """The body of `/execute` for a first attempt: ids that never were unless given, `contract` over the usual one."""
    if isinstance(inputs, BaseModel):
        raise MisuseError(f"the inputs are plain JSON, not {named(inputs)}; write ask.model_dump(mode='json')")
    agent_id = inputs.get("agent_id", "agent") if isinstance(inputs, dict) else "agent"
    usual = sample_contract(
        task_id=f"run-{run_id or uuid4().hex[:12]}-{agent_id}-1",
        task_type=task_type,
        inputs=inputs,
        expiry_ms=now_ms() + EXPIRY_AFTER_MS,
    )
    return execute_request(
        {**usual, **(contract or {})}, execution_id=execution_id or f"exec-p-{uuid4()}", profile=profile
    )


def verify_body(
    asked: Asked, *, output: Json = ..., policy: Mapping[str, Json] | None = None, created_at: int | None = None
) -> dict[str, Json]:
    """The body of `/verify` for what was done.

    Args:
        asked: the task as it was asked and answered.
        output: another output in place of the answered one.
        policy: another policy binding than the contract's.
        created_at: of the reference to the output, in epoch milliseconds; now unless given.
    """
    contract = asked.request["task_contract"]
    answer = {"evidence_inline": (), "evidence_refs": (), **asked.answer}
    if output is not ...:
        answer["candidate_output"] = output
    candidate = propose(
        answer, execution_id=asked.request["execution_id"], producer="by-hand", created_at=created_at or now_ms()
    )
    return verify_request(
        candidate,
        output_schema=contract["output_schema"],
        policy=policy or contract["acceptance"]["verifier_policy"],
    )


def offered(capabilities: Json, *, task_type: str | None = None, profile: str | None = None) -> tuple[str, str]:
    """Task type and profile: the first that `/capabilities` offers, for what is not named; a handler's own profile
    comes before the executor's."""
    task_type = task_type or _first(capabilities, "task_types") or "swarm"
    own = (_first(handler, "profiles") for handler in handlers_of(capabilities, task_type))
    return task_type, profile or next(own, None) or _first(capabilities, "profiles") or "default"


def handlers_of(capabilities: Json, task_type: str) -> list[dict[str, Json]]:
    """What is published of the handlers of a task type; nothing where the executor does not publish any."""
    handlers = capabilities.get("handlers") if isinstance(capabilities, dict) else None
    published = handlers if isinstance(handlers, list) else []
    return [one for one in published if isinstance(one, dict) and one.get("task_type") == task_type]


def now_ms() -> int:
    """The time, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _digest(parts: Json) -> str:
    return blake2b(sorted_bytes(parts), digest_size=16).hexdigest()


@lru_cache(maxsize=128)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _first(document: Json, field: str) -> str | None:
    values = document.get(field) if isinstance(document, dict) else None
    return values[0] if isinstance(values, list) and values and isinstance(values[0], str) else None
