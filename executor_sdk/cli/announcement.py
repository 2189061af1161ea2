"""The announcement of a served executor: on standard output, and to a kernel, which is waited for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import httpx2
import orjson

from executor_sdk.cli.terminal import printable
from executor_sdk.client.base_url import masked
from executor_sdk.errors import MOMENTARY

#: Seconds between two questions whether the executor answers, and for all of them.
LOOK_S: Final = 0.1
PATIENCE_S: Final = 60.0

#: Seconds between the first two tries to reach a kernel; each pause is twice the one before, up to the longest.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0


@dataclass(frozen=True)
class Announcement:
    """Made once the executor answers at `url`, in a thread beside the server."""

    app: str
    url: str
    #: The kernel to register with, the name to register under, and the base URL that kernels see.
    kernel: str | None
    name: str
    advertised: str
    as_json: bool
    #: Set to give up what has not been announced yet.
    stopped: threading.Event = field(default_factory=threading.Event)

    def make(self) -> None:
        """Wait until the executor answers, say so, and register it."""
        with httpx2.Client(trust_env=False, timeout=5.0) as http:
            if not self._answers(http):
                return
            self._say({"app": self.app, "url": self.advertised}, f"{self.app} is served at {self.advertised}")
            if self.kernel is not None:
                self._register(http, self.kernel)

    def _answers(self, http: httpx2.Client) -> bool:
        give_up_s = time.monotonic() + PATIENCE_S
        while not self.stopped.is_set() and time.monotonic() < give_up_s:
            try:
                http.get(f"{self.url}/health")
            except httpx2.TransportError:
                self.stopped.wait(LOOK_S)
            else:
                return True
        return False

    def _register(self, http: httpx2.Client, kernel: str) -> None:
        """Try until the kernel has taken the entry, or has said that it never will.

        A kernel may be started after its executors, so its absence (no answer, or 5xx) is waited for without an end,
        and told after 1, 2, 4, 8 … tries. A 4xx speaks of the entry, which stays as it is: it is told, and that is all.
        """
        entry = {"name": self.name, "base_url": self.advertised, "remote": False}
        shown = masked(kernel)
        for tries, pause_s in enumerate(pauses_s(), 1):
            try:
                answer = http.post(f"{kernel.rstrip('/')}/api/executors/add", json=entry)
            except httpx2.TransportError as error:
                why = f"does not answer ({type(error).__name__})"
            else:
                if answer.is_success:
                    self._say({"registered": self.name, "kernel": shown}, f"registered as {self.name} with {shown}")
                    return
                said = f"{answer.status_code} {' '.join(answer.text[:512].split())}".rstrip()
                if answer.status_code < 500 and answer.status_code not in MOMENTARY:
                    complain(f"the kernel at {shown} refused {self.name}: {said}; it is not asked again")
                    return
                why = f"answered {said}"
            if tries & (tries - 1) == 0:
                complain(f"the kernel at {shown} {why}; {self.name} is not registered yet, and is tried again")
            if self.stopped.wait(pause_s):
                return

    def _say(self, document: dict[str, str], line: str) -> None:
        print(orjson.dumps(document).decode() if self.as_json else line, flush=True)


def pauses_s() -> Iterator[float]:
    """Seconds between tries, without an end."""
    # The exponent has a bound, because a float has.
    return (min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(n, 16)) for n in count())


def complain(line: str) -> None:
    """Tell on standard error what went wrong while the executor is served on."""
    print(f"Error: {printable(line)}", file=sys.stderr, flush=True)
