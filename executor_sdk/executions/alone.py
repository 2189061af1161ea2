"""Whether a ledger in memory is the only one of its executor on this machine."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from hashlib import sha256
from pathlib import Path

logger = logging.getLogger(__name__)


class Alone:
    """A lock that the first process of an executor takes, and that the operating system frees when it dies.

    A second process with a ledger of its own knows nothing of the work of the first: copies and attempts that reach it
    are done twice. Nothing can be done about that here but to say so.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._name = name
        self._folder = folder or Path(tempfile.gettempdir()) / f"executor-sdk-{os.getuid()}"
        self._descriptor: int | None = None

    def check(self) -> bool:
        """Take the lock; without it, warn and tell what to write instead. True where nothing can be told, too."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path = self._folder / f"{sha256(self._name.encode()).hexdigest()[:32]}.lock"
            self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            logger.warning(
                "%s is served more than once on this machine, each time with a ledger in memory: a copy or a later "
                "attempt that reaches another process is done twice. Let them share a file: "
                "write Executor(..., ledger='/path/to/ledger.sqlite'), or set "
                "EXECUTOR_LEDGER=/path/to/ledger.sqlite",
                self._name,
            )
            return False
        except OSError as error:
            logger.info("nobody can tell whether %s is served more than once on this machine: %s", self._name, error)
        return True

    def close(self) -> None:
        """Give the lock to the next."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
