"""The port of an artifact store, and how artifacts are named."""

from __future__ import annotations

import re
from typing import Final, Protocol

from executor_sdk.errors import FetchError
from executor_sdk.protocol.digests import content_digest
from executor_sdk.protocol.reason_codes import ReasonCode

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_PREFIX: Final = "artifact://executor/"


class ArtifactStore(Protocol):
    """Bytes kept under their digest; checked whenever they are read."""

    def write(self, data: bytes) -> str:
        """Keep `data`; its digest. May wait for the disk."""

    def has(self, digest: str) -> bool:
        """Whether something is kept under `digest`, whole or broken."""

    def read(self, digest: str) -> bytes:
        """What is kept under `digest`. Raises FetchError: nothing (200), or bytes of another digest (203)."""


def artifact_uri(digest: str) -> str:
    """The URI of an artifact."""
    return _PREFIX + digest


def digest_in(uri: str) -> str | None:
    """The digest that an `artifact://` URI ends with, no matter who made it; None for any other URI."""
    name = uri.rpartition("/")[2]
    return name if uri.startswith("artifact://") and is_digest(name) else None


def is_digest(text: str) -> bool:
    """Whether `text` is a digest as this kit writes it; anything else must not become part of a path."""
    return _DIGEST.fullmatch(text) is not None


def checked(data: bytes, digest: str) -> bytes:
    """`data`, if it has this digest. Raises FetchError (203)."""
    if content_digest(data) != digest:
        raise FetchError(ReasonCode.EVIDENCE_DIGEST_MISMATCH, f"the bytes kept under {digest} have another digest")
    return data


def missing(digest: str) -> FetchError:
    """The error for a digest under which nothing is kept."""
    return FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"no artifact has the digest {digest[:80]}")
