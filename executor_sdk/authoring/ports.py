"""What a task or a candidate may ask of its surroundings, and the ports of one piece of work that answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import anyio.to_thread

from executor_sdk.artifacts.store import ArtifactStore, artifact_uri
from executor_sdk.protocol.digests import content_digest, evidence_ref
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.wire import EvidenceRef


class Fetcher(Protocol):
    """Brings bytes from outside, guarded."""

    async def fetch(self, uri: str, *, max_bytes: int | None = None) -> bytes:
        """The bytes at `uri`. Raises FetchError."""

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        """The bytes that `ref` names, checked against its digest. Raises FetchError."""


class Pulse(Protocol):
    """The work behind a task: it hears how far the task is, and knows whether anybody still wants it."""

    def progress(self, fraction: float, note: str) -> None:
        """Record how far the work is. Raises TaskCancelled once the work is no longer wanted."""

    def partial(self, output: bytes) -> None:
        """Keep the output as far as it is known, as JSON. Raises TaskCancelled once the work is no longer wanted."""

    def cancelled(self) -> bool:
        """Whether the work is no longer wanted."""

    @property
    def worker(self) -> asyncio.Task[object] | None:
        """The task that does the work, which is cancelled to stop it; None where nothing stops it so."""


class Ports:
    """What one running task may touch: its work, the fetcher, and the artifacts that it gives."""

    __slots__ = ("_producer", "_written", "fetcher", "now_ms", "pulse")

    def __init__(self, pulse: Pulse, fetcher: Fetcher, *, producer: str, clock: Callable[[], int]) -> None:
        self.pulse = pulse
        self.fetcher = fetcher
        self._producer = producer
        #: Epoch milliseconds.
        self.now_ms = clock
        self._written: list[bytes] | None = None

    @property
    def holds_artifacts(self) -> bool:
        """Whether there is something to keep."""
        return self._written is not None

    def store_artifact(self, data: bytes, mime: str) -> dict[str, Json]:
        """Keep `data` until `keep` is called; the evidence reference to it."""
        if self._written is None:
            self._written = []
        self._written.append(data)
        uri = artifact_uri(content_digest(data))
        return evidence_ref(data, uri=uri, mime=mime, created_at=self.now_ms(), producer=self._producer)

    def forget(self) -> None:
        """Keep nothing of what was stored so far."""
        self._written = None

    async def keep(self, artifacts: ArtifactStore) -> None:
        """Write what was stored, before the answer that cites it leaves; the disk is waited for in a thread."""
        if self._written is not None:
            await anyio.to_thread.run_sync(_write_all, artifacts, self._written)


def _write_all(artifacts: ArtifactStore, written: list[bytes]) -> None:
    for data in written:
        artifacts.write(data)
