"""The face of the kit: everything an author needs, each name loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from executor_sdk.authoring.agent_event import AgentEvent, Decision
    from executor_sdk.authoring.classes import agent_event, execute, verify
    from executor_sdk.authoring.depends import Depends
    from executor_sdk.authoring.streams import Partial, Progress
    from executor_sdk.authoring.task import Task
    from executor_sdk.authoring.verdict import Candidate, Verdict
    from executor_sdk.client.executor_client import ExecutorClient
    from executor_sdk.errors import (
        DefinitionError,
        ExecutorError,
        ExecutorRefusedError,
        ExecutorUnreachableError,
        FetchError,
        HandlerCrashedError,
        InvalidInputsError,
        InvalidOutputError,
        Refuse,
        TaskCancelled,
        TaskTimeoutError,
        TryLater,
    )
    from executor_sdk.executor import Executor
    from executor_sdk.protocol.reason_codes import ReasonCode
    from executor_sdk.protocol.wire import EvidenceRef, InlineEvidence
    from executor_sdk.settings import Settings
    from executor_sdk.testing.process import in_process

__all__ = [
    "AgentEvent",
    "Candidate",
    "Decision",
    "DefinitionError",
    "Depends",
    "EvidenceRef",
    "Executor",
    "ExecutorClient",
    "ExecutorError",
    "ExecutorRefusedError",
    "ExecutorUnreachableError",
    "FetchError",
    "HandlerCrashedError",
    "InlineEvidence",
    "InvalidInputsError",
    "InvalidOutputError",
    "Partial",
    "Progress",
    "ReasonCode",
    "Refuse",
    "Settings",
    "Task",
    "TaskCancelled",
    "TaskTimeoutError",
    "TryLater",
    "Verdict",
    "agent_event",
    "execute",
    "in_process",
    "verify",
]

#: Where the names live that are not in `errors`.
_HOMES = {
    "AgentEvent": "authoring.agent_event",
    "Candidate": "authoring.verdict",
    "Decision": "authoring.agent_event",
    "Depends": "authoring.depends",
    "EvidenceRef": "protocol.wire",
    "Executor": "executor",
    "ExecutorClient": "client.executor_client",
    "InlineEvidence": "protocol.wire",
    "Partial": "authoring.streams",
    "Progress": "authoring.streams",
    "ReasonCode": "protocol.reason_codes",
    "Settings": "settings",
    "Task": "authoring.task",
    "Verdict": "authoring.verdict",
    "agent_event": "authoring.classes",
    "execute": "authoring.classes",
    "in_process": "testing.process",
    "verify": "authoring.classes",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
