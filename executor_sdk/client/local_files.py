"""Reading `file://` evidence, from the folders that the settings open and from nowhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from executor_sdk.errors import FetchError, UnfetchableError
from executor_sdk.protocol.reason_codes import ReasonCode

#: Characters of a URI that a message shows.
MAX_SHOWN: Final = 200


class LocalFiles:
    """The files under some folders."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = [root.resolve() for root in roots]

    def read(self, uri: str, max_bytes: int) -> bytes:
        """The bytes of a regular file under one of the folders.

        Raises:
            UnfetchableError: `uri` is no URI.
            FetchError: outside of them (202, whether it exists or not), not there, or too large (200).
        """
        path, uri = self._within_roots(uri), uri[:MAX_SHOWN]
        try:
            # The resolved path has no links left; one put there since is not followed, and no pipe holds us up.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"no file is at {uri}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{uri} is no regular file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(max_bytes + 1)
        finally:
            os.close(descriptor)
        if len(data) > max_bytes:
            raise FetchError(ReasonCode.EVIDENCE_UNREACHABLE, f"{uri} has more than {max_bytes} bytes")
        return data

    def _within_roots(self, uri: str) -> Path:
        try:
            parts = urlsplit(uri)
        except ValueError:
            raise UnfetchableError(f"{uri[:MAX_SHOWN]} is no usable URL") from None
        try:
            path = Path(unquote(parts.path)).resolve()
        except (OSError, ValueError, RuntimeError):  # a loop of links, a null byte
            path = Path()
        if parts.netloc not in {"", "localhost"} or not any(path.is_relative_to(root) for root in self._roots):
            raise FetchError(
                ReasonCode.EVIDENCE_AUTH_DENIED,
                f"{uri[:MAX_SHOWN]} is in no folder that may be read; the option file_roots would open one",
            )
        return path
