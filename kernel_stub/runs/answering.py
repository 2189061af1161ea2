"""Which executors answer: each of the others is given one step at a time, beside everybody's places, as its probe."""

from __future__ import annotations

import logging
from typing import Final

import anyio

_log: Final = logging.getLogger("kernel_stub.runs")

#: Executors that a worker probes at once: so many may be silent before those that were never heard have to wait.
PROBES: Final = 64


class Answering:
    """What one worker has heard of executors, by name. An executor that it never heard is probed first, too."""

    def __init__(self, *, silent_after: int) -> None:
        self._silent_after = silent_after
        #: Executors that were heard, and how many calls of `/execute` in a row they have left without an answer.
        self._unanswered: dict[str, int] = {}
        #: Set when the next executor answers that did not before.
        self.changed = anyio.Event()

    @property
    def names(self) -> frozenset[str]:
        """The executors that answer."""
        return frozenset(name for name, missed in self._unanswered.items() if missed < self._silent_after)

    def is_there(self, executor: str) -> None:
        """It answered `/health`, which says nothing about its work."""
        if executor not in self._unanswered:
            self._note(executor, 0)

    def answered(self, executor: str) -> None:
        """It answered `/execute`, whatever it said."""
        if self._unanswered.get(executor) != 0:
            self._note(executor, 0)

    def was_silent(self, executor: str) -> None:
        """No answer came within the time of a call and all its resends."""
        missed = self._unanswered.get(executor, self._silent_after - 1) + 1
        if missed == self._silent_after:
            _log.warning("executor %s does not answer: its steps wait until one of them is answered", executor)
        self._unanswered[executor] = missed

    def _note(self, executor: str, missed: int) -> None:
        self._unanswered[executor] = missed
        self.changed.set()
        self.changed = anyio.Event()
