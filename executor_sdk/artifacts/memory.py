"""Artifacts in memory, bounded; the least recently used go first."""

from __future__ import annotations

import threading
from typing import Final

from executor_sdk.artifacts.store import checked, missing
from executor_sdk.protocol.digests import content_digest

#: Bytes kept where nobody says otherwise.
MAX_BYTES: Final = 256 * 1024 * 1024


class MemoryArtifacts:
    """An artifact store that its process takes with it. Callable from threads.

    Everything is in `kept`, by digest, the least recently used first. A test may put other bytes there to forge
    evidence, which the bound does not count.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, kept: dict[str, bytes] | None = None) -> None:
        self._max_bytes = max_bytes
        self._kept = {} if kept is None else kept
        self._size = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> str:
        """See the port."""
        digest = content_digest(data)
        with self._lock:
            self._size += len(data) - len(self._kept.pop(digest, b""))
            self._kept[digest] = data
            while self._size > self._max_bytes and len(self._kept) > 1:
                oldest = next(iter(self._kept))
                self._size -= len(self._kept.pop(oldest))
        return digest

    def has(self, digest: str) -> bool:
        """See the port."""
        return digest in self._kept

    def read(self, digest: str) -> bytes:
        """See the port."""
        with self._lock:
            data = self._kept.pop(digest, None)
            if data is None:
                raise missing(digest)
            self._kept[digest] = data
        return checked(data, digest)
