"""Artifacts in memory, bounded; the least recently used go first."""

from __future__ import annotations

import threading
from typing import Final

from executor_sdk.artifacts.store import checked, missing
from executor_sdk.protocol.digests import content_digest

#: Bytes kept where nobody says otherwise.
MAX_BYTES: Final = 256 * 1024 * 1024


class MemoryArtifacts:
    """An artifact store that its process takes with it. Callable from threads."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: dict[str, bytes] = {}
        self._size = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> str:
        """See the port."""
        digest = content_digest(data)
        self.write_as(digest, data)
        return digest

    def write_as(self, digest: str, data: bytes) -> None:
        """Keep `data` under a digest that may not be its own: how a test forges evidence."""
        with self._lock:
            self._size += len(data) - len(self._kept.pop(digest, b""))
            self._kept[digest] = data
            while self._size > self._max_bytes and len(self._kept) > 1:
                oldest = next(iter(self._kept))
                self._size -= len(self._kept.pop(oldest))

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

    def peek(self, digest: str) -> bytes:
        """What is kept under `digest`, unchecked. Raises KeyError."""
        return self._kept[digest]

    def discard(self, digest: str) -> None:
        """Forget what is kept under `digest`."""
        with self._lock:
            self._size -= len(self._kept.pop(digest, b""))

    def digests(self) -> list[str]:
        """All digests, the least recently used first."""
        return list(self._kept)
