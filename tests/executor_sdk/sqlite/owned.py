"""A program for tests: an owner beside a file. Prints its id, and does what it is told by its arguments.

`owned.py FOLDER`        lives until it is killed
`owned.py FOLDER fork`   forks; prints the child's process id too, and both live until they are killed
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from executor_sdk.sqlite.owners import Owner


def forked() -> int:
    """The process id of a child that has begun to run, or 0 in the child."""
    began, begin = os.pipe()
    child = os.fork()
    os.write(begin, b".") if child == 0 else os.read(began, 1)
    return child


def main(folder: Path, *, fork: bool) -> None:
    """Own, tell, and wait."""
    owner = Owner(folder)
    child = forked() if fork else -1
    if child != 0:
        print(owner.id, child, flush=True)  # noqa: T201 - a program speaks to its test
    while True:
        signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), fork="fork" in sys.argv[2:])
