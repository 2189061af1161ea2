"""`executor serve APP`: serve an executor, and register it with a kernel."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import httpx2
import orjson
import uvicorn
from uvicorn.supervisors import ChangeReload

from executor_sdk.cli.applications import check_url, settings_of
from executor_sdk.cli.command import CommandError, Commands, Exit, add_command
from executor_sdk.client.base_url import masked
from executor_sdk.options.environment import APP_VARIABLE
from executor_sdk.serving.addresses import listen, listen_address, url_of
from executor_sdk.serving.door import Bounds, Door
from executor_sdk.serving.server import Server, configuration

#: Seconds for which a stopping server waits for its callers; what then still works is ended by the executor itself.
STOP_S: Final = 20

#: Seconds between two tries to announce it, and for all of them.
PAUSE_S: Final = 0.1
PATIENCE_S: Final = 60.0


def add(commands: Commands) -> None:
    """Add the command; `run` is another name for it."""
    parser = add_command(commands, "serve", run, aliases=["run"], help="serve an executor")
    parser.add_argument("app", metavar="APP", help="module:attribute of the executor")
    parser.add_argument(
        "--listen", type=partial(listen_address, bare_port=True), default=("127.0.0.1", 8080), metavar="HOST:PORT",
        help="default 127.0.0.1:8080; port 0 takes a free one",
    )  # fmt: skip
    parser.add_argument("--reload", action="store_true", help="serve anew whenever a source file changes")
    parser.add_argument("--register", metavar="KERNEL_URL", help="register with this kernel once it is served")
    parser.add_argument("--as", dest="name", metavar="NAME", help="the name to register under")
    parser.add_argument("--advertise", metavar="URL", help="the base URL to register, where kernels see another one")


def run(given: argparse.Namespace) -> int:
    """Serve until told to stop. Options come from the environment too: EXECUTOR_TIMEOUT_S and so on."""
    if bool(given.register) is not bool(given.name):
        raise CommandError(Exit.USAGE, "--register KERNEL_URL and --as NAME belong together")
    for option, url in (("--register: ", given.register), ("--advertise: ", given.advertise)):
        if url is not None:
            check_url(url, option)
    settings = settings_of(given.app)
    bounds = Bounds(settings.max_connections, settings.max_head_bytes, settings.head_timeout_s)
    os.environ[APP_VARIABLE] = given.app
    listening = listening_at(*given.listen)
    announcement = _Announcement(given, url_of(listening))
    threading.Thread(target=announcement.make, name="announcement", daemon=True).start()
    try:
        _serve(listening, Door(bounds), reload=given.reload)
    finally:
        announcement.stopped.set()
        listening.close()
    return Exit.GOOD


def _serve(listening: socket.socket, door: Door, *, reload: bool) -> None:
    config = configuration(
        "executor_sdk.cli.applications:application",
        door,
        factory=True,
        reload=reload,
        log_level="info" if reload else "warning",
        # Bounded: a caller that never hangs up must not keep a stopped executor alive.
        timeout_graceful_shutdown=STOP_S,
    )
    if reload:
        ChangeReload(config, target=partial(_serve_again, config), sockets=[listening]).run()
        return
    server = Server(config)
    server.run([listening])
    if not server.started:
        raise CommandError(Exit.USAGE, "the application did not start; its log says why")


def _serve_again(config: uvicorn.Config, sockets: list[socket.socket] | None = None) -> None:
    """What each process does that begins when a source has changed."""
    Server(config).run(sockets)


def listening_at(host: str, port: int) -> socket.socket:
    """A socket that listens there, for this process and those that it starts.

    Raises:
        CommandError: the address cannot be listened on.
    """
    try:
        listening = listen(host, port)
    except OSError as error:
        raise CommandError(Exit.USAGE, f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    listening.set_inheritable(True)
    return listening


@dataclass(frozen=True)
class _Announcement:
    """Made once the executor answers at `url`, in a thread beside the server."""

    given: argparse.Namespace
    url: str
    #: Set to give up what has not been announced yet.
    stopped: threading.Event = field(default_factory=threading.Event)

    def make(self) -> None:
        """Wait until the executor answers, say so, and register it; a kernel that is not up yet is waited for."""
        app, url = self.given.app, self.given.advertise or self.url
        with httpx2.Client(trust_env=False, timeout=5.0) as http:
            if not self._tried(lambda: http.get(f"{self.url}/health")):
                return
            self._say({"app": app, "url": url}, f"{app} is served at {url}")
            if self.given.register is not None:
                self._register(http, url)

    def _register(self, http: httpx2.Client, url: str) -> None:
        name, kernel = self.given.name, masked(self.given.register)
        entry = {"name": name, "base_url": url, "remote": False}
        answer = self._tried(lambda: http.post(f"{self.given.register.rstrip('/')}/api/executors/add", json=entry))
        if answer is None:
            _complain(f"the kernel at {kernel} does not answer; {name} is not registered")
        elif answer.is_success:
            self._say({"registered": name, "kernel": kernel}, f"registered as {name} with {kernel}")
        else:
            said = " ".join(answer.text[:512].split())
            _complain(f"the kernel at {kernel} refused {name}: {answer.status_code} {said}")

    def _tried(self, call: Callable[[], httpx2.Response]) -> httpx2.Response | None:
        """The first answer of any status; None where none came in time."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not self.stopped.is_set() and time.monotonic() < give_up_s:
            try:
                return call()
            except httpx2.TransportError:
                self.stopped.wait(PAUSE_S)
        return None

    def _say(self, document: dict[str, str], line: str) -> None:
        print(orjson.dumps(document).decode() if self.given.json else line, flush=True)


def _complain(line: str) -> None:
    print(f"Error: {line}", file=sys.stderr, flush=True)
