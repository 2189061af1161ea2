"""`executor --version`: the version of the kit, of Python, and of the platform."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from executor_sdk.cli.command import CommandParser, pretty

DISTRIBUTION: Final = "executor-sdk"


def facts() -> dict[str, str]:
    """What somebody who helps wants to know first."""
    try:
        kit = version(DISTRIBUTION)
    except PackageNotFoundError:
        kit = "unknown"
    return {
        "version": kit,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
    }


class ShowVersion(argparse.Action):
    """Print the versions, and end."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """As argparse calls it."""
        known = facts()
        as_json = isinstance(parser, CommandParser) and parser.as_json
        line = "{version} (Python: {python}; platform: {platform})".format(**known)
        print(pretty(known) if as_json else f"{DISTRIBUTION} {line}")
        parser.exit()
