"""Telling the world that an executor is served: a line on the terminal, and a registration with a kernel."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx2
import orjson

from executor_sdk.client.base_url import masked

#: Seconds between two tries, and for all of them.
PAUSE_S: Final = 0.1
PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class Announcement:
    """Made once the executor answers, in a thread beside the server."""

    app: str
    base_url: str
    probe_url: str
    kernel_url: str | None
    name: str | None
    as_json: bool
    stopped: threading.Event = field(default_factory=threading.Event)

    def make(self) -> None:
        """Wait until the executor answers, say so, and register it; a kernel that is not up yet is waited for."""
        with httpx2.Client(trust_env=False, timeout=5.0) as http:
            if not self._tried(lambda: http.get(f"{self.probe_url}/health")):
                return
            self._say({"app": self.app, "url": self.base_url}, f"{self.app} is served at {self.base_url}")
            if self.kernel_url is not None:
                self._register(http, self.kernel_url)

    def stop(self) -> None:
        """Give up what has not been announced yet."""
        self.stopped.set()

    def _register(self, http: httpx2.Client, kernel_url: str) -> None:
        entry = {"name": self.name, "base_url": self.base_url, "remote": False}
        answer = self._tried(lambda: http.post(f"{kernel_url.rstrip('/')}/api/executors/add", json=entry))
        kernel = masked(kernel_url)
        if answer is None:
            _complain(f"the kernel at {kernel} does not answer; {self.name} is not registered")
        elif answer.is_success:
            self._say({"registered": self.name, "kernel": kernel}, f"registered as {self.name} with {kernel}")
        else:
            said = " ".join(answer.text[:512].split())
            _complain(f"the kernel at {kernel} refused {self.name}: {answer.status_code} {said}")

    def _tried(self, call: Callable[[], httpx2.Response]) -> httpx2.Response | None:
        """The first answer of any status; None where none came in time."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not self.stopped.is_set() and time.monotonic() < give_up_s:
            try:
                return call()
            except httpx2.TransportError:
                self.stopped.wait(PAUSE_S)
        return None

    def _say(self, document: dict[str, str | None], line: str) -> None:
        print(orjson.dumps(document).decode() if self.as_json else line, flush=True)


def _complain(line: str) -> None:
    print(f"Error: {line}", file=sys.stderr, flush=True)
