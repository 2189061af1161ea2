"""`executor serve APP`: serve an executor, and register it with a kernel."""

from __future__ import annotations

import argparse
import os
import socket
import threading
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.supervisors import ChangeReload

from executor_sdk.cli.address import loaded
from executor_sdk.cli.announcing import Announcement
from executor_sdk.cli.arguments import add_json
from executor_sdk.cli.exits import CommandError, Exit
from executor_sdk.cli.serving import APP_VARIABLE, configured
from executor_sdk.cli.stopping import Server
from executor_sdk.client.base_url import UnusableUrlError, split
from executor_sdk.errors import DefinitionError

if TYPE_CHECKING:
    from executor_sdk.cli.arguments import Commands


#: Seconds for which a stopping server waits for its callers; what then still works is ended by the executor itself.
STOP_S: Final = 20


def add(commands: Commands) -> None:
    """Add the command; `run` is another name for it."""
    parser = commands.add_parser("serve", aliases=["run"], help="serve an executor")
    parser.add_argument("app", metavar="APP", help="module:attribute of the executor")
    parser.add_argument("--listen", type=listen_address, default=("127.0.0.1", 8080), metavar="HOST:PORT",
                        help="default 127.0.0.1:8080; port 0 takes a free one")  # fmt: skip
    parser.add_argument("--reload", action="store_true", help="serve anew whenever a source file changes")
    parser.add_argument("--register", metavar="KERNEL_URL", help="register with this kernel once it is served")
    parser.add_argument("--as", dest="name", metavar="NAME", help="the name to register under")
    parser.add_argument("--advertise", metavar="URL", help="the base URL to register, where kernels see another one")
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until told to stop. Options come from the environment too: EXECUTOR_TIMEOUT_S and so on."""
    if bool(given.register) is not bool(given.name):
        raise CommandError(Exit.USAGE, "--register KERNEL_URL and --as NAME belong together")
    _check_url("--register", given.register)
    _check_url("--advertise", given.advertise)
    try:
        configured(loaded(given.app))
    except DefinitionError as error:
        raise CommandError(Exit.USAGE, f"{given.app}: {error}") from None
    os.environ[APP_VARIABLE] = given.app
    listening = _listening(*given.listen)
    announcement = Announcement(
        app=given.app,
        base_url=given.advertise or _base_url(listening),
        probe_url=_base_url(listening),
        kernel_url=given.register,
        name=given.name,
        as_json=given.json,
    )
    threading.Thread(target=announcement.make, name="announcement", daemon=True).start()
    try:
        _serve(listening, reload=given.reload)
    finally:
        announcement.stop()
        listening.close()
    return Exit.GOOD


def listen_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `:PORT` or `PORT`; an IPv6 host stands in brackets."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def _check_url(option: str, url: str | None) -> None:
    try:
        if url is not None:
            split(url)
    except UnusableUrlError as error:
        raise CommandError(Exit.USAGE, f"{option}: {error}") from None


def _serve(listening: socket.socket, *, reload: bool) -> None:
    config = uvicorn.Config(
        "executor_sdk.cli.serving:application",
        factory=True,
        reload=reload,
        log_level="info" if reload else "warning",
        # Standard output belongs to the announcement, which programs read.
        access_log=False,
        # Bounded: a caller that never hangs up must not keep a stopped executor alive.
        timeout_graceful_shutdown=STOP_S,
    )
    server = Server(config)
    if reload:
        ChangeReload(config, target=server.run, sockets=[listening]).run()
        return
    server.run(sockets=[listening])
    if not server.started:
        raise CommandError(Exit.USAGE, "the application did not start; its log says why")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        raise CommandError(Exit.USAGE, f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    listening.set_inheritable(True)
    return listening


def _base_url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
