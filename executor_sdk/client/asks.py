"""One task by hand: what an executor offers for it, and the bodies that a kernel sends for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import (
    EXPIRY_AFTER_MS,
    execute_request,
    propose,
    sample_contract,
    verify_request,
)


@dataclass(frozen=True)
class Asked:
    """A task that was done: the body of `/execute` as it was sent, and the plain JSON of the answer."""

    request: dict[str, Json]
    answer: dict[str, Json]


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


def _first(document: Json, field: str) -> str | None:
    values = document.get(field) if isinstance(document, dict) else None
    return values[0] if isinstance(values, list) and values and isinstance(values[0], str) else None
