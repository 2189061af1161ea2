"""Who of several processes beside one file is alive: asked of the operating system, by a file lock each."""

from __future__ import annotations

import fcntl
import os
import re
import uuid
import weakref
from pathlib import Path
from typing import Final, Self

_ID: Final = re.compile(r"[0-9a-f]{32}")

#: Every owner of this process, for the moment of a fork.
_owners: Final[weakref.WeakSet[Owner]] = weakref.WeakSet()


class Owner:
    """Somebody who is alive: holds a lock that ends with the process, however the process ends, and not before.

    Work that outlives its process is written down under `id`. One process may have several owners.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_dead(folder)
        self.id = uuid.uuid4().hex
        self._path = _path_of(folder, self.id)
        # Under its own name only once it is locked, so that nobody finds the file unlocked and its owner dead.
        unlocked = self._path.with_suffix(".new")
        self._descriptor: int | None = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlocked.rename(self._path)
        except BaseException:
            self.unlock()
            unlocked.unlink(missing_ok=True)
            raise
        _owners.add(self)

    def close(self) -> None:
        """Be alive no longer."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            self.unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def unlock(self) -> None:
        """Let go of the file. In the child of a fork the lock is the parent's, and ends with the parent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # Closing is enough, and only it is right in a child: LOCK_UN would take the lock from the parent too.
            os.close(descriptor)


def is_alive(folder: Path, owner_id: str) -> bool:
    """Whether the owner's process is there, running or stopped; what no `Owner` was given as its id is dead.

    Where the system cannot tell (no descriptor left, no permission), the owner counts as alive: to wait costs time,
    to do its work twice costs more.
    """
    if _ID.fullmatch(owner_id) is None:
        return False
    path = _path_of(folder, owner_id)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        # Shared, so that two who ask at once do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        _remove(path, descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove_dead(folder: Path) -> None:
    """Remove the files that killed processes left behind."""
    for path in folder.glob("*.lock"):
        is_alive(folder, path.stem)


def _path_of(folder: Path, owner_id: str) -> Path:
    return folder / f"{owner_id}.lock"


def _remove(path: Path, descriptor: int) -> None:
    """Remove the file that was asked, and no other that has its name by now."""
    asked = os.fstat(descriptor)
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if (there.st_dev, there.st_ino) == (asked.st_dev, asked.st_ino):
        path.unlink(missing_ok=True)


def _leave_all_to_parent() -> None:
    for owner in list(_owners):
        owner.unlock()


os.register_at_fork(after_in_child=_leave_all_to_parent)
