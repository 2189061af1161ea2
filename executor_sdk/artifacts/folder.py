"""Artifacts as files in a folder, written so that no reader ever sees half of one."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from executor_sdk.artifacts.store import checked, is_digest, missing
from executor_sdk.protocol.digests import content_digest


class FolderArtifacts:
    """An artifact store in `root`: `root/ab/cdef…` for the digest `sha256:abcdef…`. Several processes may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, data: bytes) -> str:
        """See the port. Written and flushed under another name, then renamed; a crash leaves no half file."""
        digest = content_digest(data)
        path = self._path(digest)
        if not self._is_whole(path, digest):
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{uuid4().hex}")
            try:
                _write(draft, data)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            _flush_folder(path.parent)
        return digest

    def has(self, digest: str) -> bool:
        """See the port."""
        return is_digest(digest) and self._path(digest).is_file()

    def read(self, digest: str) -> bytes:
        """See the port."""
        if not is_digest(digest):
            raise missing(digest)
        try:
            data = self._path(digest).read_bytes()
        except OSError:
            raise missing(digest) from None
        return checked(data, digest)

    def _path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._root / name[:2] / name[2:]

    @staticmethod
    def _is_whole(path: Path, digest: str) -> bool:
        try:
            return content_digest(path.read_bytes()) == digest
        except OSError:
            return False


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
