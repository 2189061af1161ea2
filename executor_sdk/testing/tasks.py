"""A task to call a handler with, as the plain function that it is."""

from __future__ import annotations

from collections.abc import Mapping

from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.artifacts.store import artifact_uri
from executor_sdk.authoring.task import Task
from executor_sdk.client.asks import execute_body, now_ms
from executor_sdk.errors import TaskCancelled
from executor_sdk.protocol.digests import content_digest, evidence_ref
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import ExecuteRequest, view
from executor_sdk.testing.files import Files


class RecordingPorts(Files):
    """Ports that keep what a handler does with them."""

    def __init__(self, files: Mapping[str, bytes], artifacts: MemoryArtifacts, cancel_at: float | None) -> None:
        super().__init__(files, artifacts)
        self.reported: list[tuple[float, str]] = []
        self._artifacts = artifacts
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

    def store_artifact(self, data: bytes, mime: str) -> dict[str, Json]:
        """Keep `data`."""
        self._artifacts.write(data)
        uri = artifact_uri(content_digest(data))
        return evidence_ref(data, uri=uri, mime=mime, created_at=now_ms(), producer="test")


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
    ports = RecordingPorts(dict(files or {}), MemoryArtifacts(), cancel_at)
    return Task(view(body, ExecuteRequest), ports, step_key="step-test", deadline_ms=now_ms() + int(timeout_s * 1000))
