"""The main job, live: 0 if everything that it promises happened, 1 if not, 130 if it was stopped."""

from __future__ import annotations

import argparse
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
from processes import DemoError, Processes
from report import report, shown
from run import play

HERE: Final = Path(__file__).resolve().parents[2]
#: What the demo wipes when it begins, and nothing else of the folder that it is given.
STATE: Final = "quarterly-demo"


def main() -> int:
    """Play the demo, and stop everything that it started, however it ends."""
    arguments = _arguments()
    sales, folder = arguments.sales.resolve(), arguments.dir.resolve()
    began = time.monotonic()
    shutil.rmtree(state := folder / STATE, ignore_errors=True)
    state.mkdir(parents=True)
    code = 1
    try:
        _play(sales, state)
        print(f"\nDone in {time.monotonic() - began:.0f} s. Nothing is left running; logs are in {shown(state)}.")
        code = 0
    except* KeyboardInterrupt:
        print("\nStopped; nothing is left running.", file=sys.stderr)
        code = 130
    except* (DemoError, ValueError, OSError, sqlite3.Error, httpx2.HTTPError) as failed:
        print(f"\nThe demo failed: {_first(failed)}\nThe logs are in {shown(state)}.", file=sys.stderr)
    return code


def _play(sales: Path, folder: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with Processes(folder) as processes:
        result: dict[str, Any] = anyio.run(play, processes, sales, folder)
        processes.stop()
        report(result, folder, sales)


def _first(failed: BaseException) -> BaseException:
    """The error itself, out of the groups that task groups wrap it in."""
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    return failed


def _stop(number: int, frame: object) -> None:
    """A termination or a lost terminal ends the demo as Ctrl-C does, through every `finally`."""
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    sales = HERE / "examples" / "quarterly_revenue" / "sales.csv"
    parser = argparse.ArgumentParser(prog="scripts/demo", description="The quarterly-revenue run, live.")
    parser.add_argument("--sales", type=Path, default=sales, metavar="FILE", help="another file of sales lines")
    parser.add_argument("--dir", type=Path, default=HERE / ".demo", metavar="DIR", help="for state and logs (.demo)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
