"""What a test's executor can fetch: the files that the test gives it, its artifacts, and nothing from any network."""

from __future__ import annotations

from collections.abc import Mapping

from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.artifacts.store import digest_in
from executor_sdk.errors import FetchError
from executor_sdk.protocol.digests import content_digest
from executor_sdk.protocol.reason_codes import ReasonCode
from executor_sdk.protocol.wire import EvidenceRef


class Files:
    """Stands where the guarded egress stands in production."""

    def __init__(self, files: Mapping[str, bytes], artifacts: MemoryArtifacts) -> None:
        self._files = files
        self._artifacts = artifacts

    async def fetch(self, uri: str, *, max_bytes: int | None = None) -> bytes:
        """The bytes that the test gave for `uri`.

        Raises:
            FetchError: it gave none, or they are too many (200).
        """
        digest = digest_in(uri)
        if uri not in self._files and digest is None:
            raise FetchError(
                ReasonCode.EVIDENCE_UNREACHABLE,
                f"the test has no file for {uri}; say in_process(..., files={{uri: bytes}})",
            )
        data = self._files[uri] if uri in self._files else self._artifacts.read(str(digest))
        if max_bytes is not None and len(data) > max_bytes:
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{uri} has more than {max_bytes} bytes")
        return data

    async def fetch_ref(self, ref: EvidenceRef) -> bytes:
        """The bytes that `ref` names. Raises FetchError, with 203 for bytes of another digest."""
        if self._artifacts.has(ref.digest):
            return self._artifacts.read(ref.digest)
        data = await self.fetch(ref.uri)
        if content_digest(data) != ref.digest:
            raise FetchError(ReasonCode.EVIDENCE_DIGEST_MISMATCH, f"{ref.uri} is not what {ref.digest} names")
        return data
