"""`kernel-stub serve`, also as `ui`: API, worker and store in one process."""

from __future__ import annotations

import argparse
from typing import Final

from kernel_stub.cli.arguments import Subcommands, add_worker_options, command

_DEFAULT: Final = ("127.0.0.1", 7788)


def add_commands(subcommands: Subcommands) -> None:
    """Add `serve`, and `ui` as the documents write it."""
    for name in ("serve", "ui"):
        parser = command(subcommands, name, _serve, "API, worker and store in one process")
        parser.add_argument(
            "--listen", type=listen_address, default=_DEFAULT, metavar="HOST:PORT", help="(127.0.0.1:7788)"
        )
        parser.add_argument("--no-worker", action="store_true", help="leave the steps to `run worker` processes")
        add_worker_options(parser)


def listen_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[::1]:PORT`, or `:PORT` on loopback; port 0 takes a free one."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]") or _DEFAULT[0], int(port)


async def _serve(arguments: argparse.Namespace) -> int:
    # Every other command is quicker for not loading a web server.
    from kernel_stub.cli import serving

    return await serving.run(arguments)
