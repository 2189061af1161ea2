"""`executor serve APP`: serve an executor, in one process or several, and register it with a kernel."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.supervisors import ChangeReload

from executor_sdk.cli.announcement import Announcement
from executor_sdk.cli.applications import check_url, settings_of
from executor_sdk.cli.command import CommandError, Commands, Exit, add_command
from executor_sdk.cli.workers import APPLICATION, Workers, serve_alone
from executor_sdk.options.environment import APP_VARIABLE, LOG_VARIABLE
from executor_sdk.serving.addresses import listen, listen_address, url_of
from executor_sdk.serving.door import Bounds, Door
from executor_sdk.serving.server import Server, configuration
from executor_sdk.settings import Settings

#: Seconds for which a stopping server waits for its callers; what then still works is ended by the executor itself.
STOP_S: Final = 20

#: What the log may begin with.
LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def add(commands: Commands) -> None:
    """Add the command; `run` is another name for it."""
    parser = add_command(
        commands,
        "serve",
        run,
        aliases=["run"],
        help="serve an executor",
        description="Serve an executor until SIGTERM or SIGINT. Its options come from the environment, too: "
        "EXECUTOR_TIMEOUT_S and so on, see `executor describe --settings`. With --json each event is one line.",
        example="executor serve app:executor --listen 0.0.0.0:8080 --register http://127.0.0.1:7788 --as drivers",
    )
    parser.add_argument("app", metavar="APP", help="module:attribute of the executor")
    parser.add_argument(
        "--listen", type=partial(listen_address, bare_port=True), default=("127.0.0.1", 8080), metavar="HOST:PORT",
        help="default 127.0.0.1:8080; port 0 takes a free one",
    )  # fmt: skip
    parser.add_argument("--reload", action="store_true", help="load and serve again when a source file changes")
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N",
        help="processes that share the address and the ledger file, which they need (default 1); options such as "
        "max_concurrency count for each of them",
    )  # fmt: skip
    parser.add_argument("--log-level", choices=LEVELS, help="the least that is logged (default info)")
    parser.add_argument(
        "--register", metavar="KERNEL_URL",
        help="register with this kernel once it is served; a kernel that is not there yet is waited for",
    )  # fmt: skip
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
    if given.workers > 1:
        _check_workers(given, settings)
    bounds = Bounds(settings.max_connections, settings.max_head_bytes, settings.head_timeout_s)
    os.environ[APP_VARIABLE] = given.app
    if given.log_level:
        os.environ[LOG_VARIABLE] = given.log_level
    listening = listening_at(*given.listen)
    url = url_of(listening)
    announcement = Announcement(given.app, url, given.register, given.name, given.advertise or url, given.json)
    threading.Thread(target=announcement.make, name="announcement", daemon=True).start()
    try:
        _serve(listening, bounds, given)
    finally:
        announcement.stopped.set()
        listening.close()
    return Exit.GOOD


def _check_workers(given: argparse.Namespace, settings: Settings) -> None:
    if given.reload:
        raise CommandError(Exit.USAGE, "--reload serves in one process; leave --workers out")
    if settings.ledger is None:
        raise CommandError(
            Exit.USAGE,
            f"--workers {given.workers} needs a ledger in a file: without one no process knows the work of the others, "
            "and copies of one step are done twice: set EXECUTOR_LEDGER=/path/to/ledger.sqlite, or write "
            "Executor(..., ledger='/path/to/ledger.sqlite')",
        )
    if settings.artifacts_dir is None:
        print(
            "Note: artifacts are kept in the memory of each worker, where the others do not find them; if handlers "
            "keep any, set EXECUTOR_ARTIFACTS_DIR=/path/to/artifacts",
            file=sys.stderr,
        )


def _serve(listening: socket.socket, bounds: Bounds, given: argparse.Namespace) -> None:
    options: dict[str, Any] = {
        "log_level": given.log_level or ("info" if given.reload else "warning"),
        # Bounded: a caller that never hangs up must not keep a stopped executor alive.
        "timeout_graceful_shutdown": STOP_S,
    }
    if given.reload:
        config = configuration(APPLICATION, Door(bounds), factory=True, reload=True, **options)
        ChangeReload(config, target=partial(_serve_again, config), sockets=[listening]).run()
    elif given.workers > 1:
        Workers(given.workers, listening, bounds, options).run()
    elif not serve_alone(listening, bounds, options):
        raise CommandError(Exit.USAGE, "the application did not start; its log says why")


def _serve_again(config: uvicorn.Config, sockets: list[socket.socket] | None = None) -> None:
    """What each process does that begins when a source has changed."""
    Server(config).run(sockets)


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 256:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 256")
    return value


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
