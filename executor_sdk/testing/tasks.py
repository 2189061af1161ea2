"""A task to call a handler with, as the plain function that it is."""

from __future__ import annotations

from collections.abc import Mapping

from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.authoring.ports import Ports
from executor_sdk.authoring.task import Task
from executor_sdk.client.asks import execute_body, now_ms
from executor_sdk.errors import TaskCancelled
from executor_sdk.protocol.incoming import ExecuteRequest
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.files import Files


class RecordingPulse:
    """Keeps what a handler reports; the work is no longer wanted from the fraction on that was named."""

    def __init__(self, cancel_at: float | None) -> None:
        self.reported: list[tuple[float, str]] = []
        self._cancel_at = cancel_at
        self._cancelled = False

    def progress(self, fraction: float, note: str) -> None:
        """Keep it; raise TaskCancelled from the fraction on that was named."""
        self.reported.append((fraction, note))
        self._cancelled = self._cancelled or (self._cancel_at is not None and fraction >= self._cancel_at)
        if self._cancelled:
            raise TaskCancelled

    def cancelled(self) -> bool:
        """Whether that fraction was reached."""
        return self._cancelled


def a_task(
    inputs: Json = ...,
    *,
    task_type: str = "swarm",
    files: Mapping[str, bytes] | None = None,
    cancel_at: float | None = None,
    timeout_s: float = 30.0,
    **request: Json,
) -> Task:
    """A task that no kernel asked for; `request` changes fields of the request, as `profile="fast"`."""
    given = {} if inputs is ... else inputs
    body = execute_body(given, task_type=task_type, run_id="test", execution_id="exec-p-test") | request
    files_of_test = Files(dict(files or {}), MemoryArtifacts())
    ports = Ports(RecordingPulse(cancel_at), files_of_test, producer="test", clock=now_ms)
    deadline_ms = now_ms() + int(timeout_s * 1000)
    return Task(ExecuteRequest.of(body), ports, step_digest=b"step-test", deadline_ms=deadline_ms)
