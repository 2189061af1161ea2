"""How arguments are read: the kernel's words for a usage error, and options that several commands share."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from kernel_stub.errors import KernelError
from kernel_stub.settings import KernelSettings

#: What a command is: it gets its arguments and returns its exit code.
Command: TypeAlias = Callable[[argparse.Namespace], Awaitable[int]]
#: What `add_subparsers` returns; argparse has no public name for it.
Subcommands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001

_UNKNOWN: Final = re.compile(r"argument \S+: invalid choice: ('.*?') \(choose from .*\)", re.DOTALL)


class UsageRefusedError(KernelError):
    """The arguments are well formed but cannot be served."""

    code = "USAGE_REFUSED"


class Parser(argparse.ArgumentParser):
    """Prints a usage error as the kernel does, and exits 2; options are never guessed from their beginnings."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, **options})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, how it is meant, and where to read more."""
        said = _UNKNOWN.sub(r"unrecognized subcommand \1", message)
        usage = self.format_usage().removeprefix("usage: ").rstrip()
        sys.stderr.write(f"error: {said}\n\nUsage: {usage}\n\nFor more information, try '--help'.\n")
        raise SystemExit(2)


def command(subcommands: Subcommands, name: str, run: Command, help_text: str) -> Parser:
    """Add the command `name`, done by `run`."""
    parser = subcommands.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(command=run)
    return parser


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """The options of a worker, wherever it runs."""
    parser.add_argument("--worker-id", metavar="ID", help="the name in leases; made up where not given")
    parser.add_argument("--concurrency", type=positive, default=8, metavar="N", help="steps in flight (8)")
    parser.add_argument("--poll-ms", type=positive, default=250, metavar="MS", help="wait of an idle worker (250)")
    parser.add_argument("--lease-ms", type=positive, default=30_000, metavar="MS", help="hold of a step (30000)")
    parser.add_argument("--call-timeout", type=seconds, default=30.0, metavar="S", help="limit of one call (30)")
    parser.add_argument("--resends", type=natural, default=4, metavar="N", help="resends after no answer (4)")


def settings_of(arguments: argparse.Namespace) -> KernelSettings:
    """The kernel's settings as the arguments give them."""
    named = {
        "call_timeout": "call_timeout_s",
        "resends": "resends",
        "lease_ms": "lease_ms",
        "poll_ms": "poll_ms",
        "concurrency": "concurrency",
    }
    given = {setting: getattr(arguments, name) for name, setting in named.items() if hasattr(arguments, name)}
    trusted = tuple(getattr(arguments, "trust", ()))
    return KernelSettings(arguments.state_dir, store_url=_store_path(arguments), trusted_keys=trusted, **given)


def _store_path(arguments: argparse.Namespace) -> Path | None:
    """The store's file where `--store` names one, inside the state directory."""
    name: str | None = arguments.store
    if name is None:
        return None
    if Path(name).name != name or name in {"", ".", ".."}:
        raise UsageRefusedError("--store is the name of a file inside the state directory")
    path: Path = arguments.state_dir / name
    return path


def positive(text: str) -> int:
    """A whole number above zero."""
    if (number := natural(text)) == 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def natural(text: str) -> int:
    """A whole number, zero included, small enough for any clock."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def seconds(text: str) -> float:
    """A duration above zero, up to a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration in seconds")
    return value
