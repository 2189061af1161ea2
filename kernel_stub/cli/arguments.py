"""How arguments are read: the kernel's words for a usage error, options that commands share, the kernel they name."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from kernel_stub.errors import KernelError
from kernel_stub.kernel import Kernel, open_kernel
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


@asynccontextmanager
async def opened(arguments: argparse.Namespace) -> AsyncIterator[Kernel]:
    """The kernel that the arguments speak of, for the length of one command; a server may run beside it."""
    async with open_kernel(settings_of(arguments)) as kernel:
        yield kernel


def settings_of(arguments: argparse.Namespace) -> KernelSettings:
    """The kernel's settings as the arguments of their names give them; what was not given has its default."""
    names = {field.name for field in fields(KernelSettings)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    trusted = tuple(given.get("trusted_keys", ()))
    return KernelSettings(**{**given, "store_url": _store_path(arguments), "trusted_keys": trusted})


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


def _store_path(arguments: argparse.Namespace) -> Path | None:
    """The store's file where `--store` names one, inside the state directory."""
    name: str | None = arguments.store
    if name is None:
        return None
    if Path(name).name != name or name in {"", ".", ".."}:
        raise UsageRefusedError("--store is the name of a file inside the state directory")
    path: Path = arguments.state_dir / name
    return path
