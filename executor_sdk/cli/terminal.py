"""What a command shows at a terminal: tables, and what goes on while it takes long; plain lines anywhere else."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

#: Seconds before a command says what goes on.
QUIET_S: Final = 1.0

#: Control characters, which a terminal would obey: what others wrote must not move the cursor or set a title.
_CONTROLS: Final = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}

#: Colours of the words that a table's cell may be.
_STYLES: Final = {
    "problem": "bold red", "fail": "bold red", "error": "bold red", "failed": "bold red", "refused": "bold red",
    "advice": "yellow", "warn": "yellow", "not-tested": "yellow", "other": "yellow",
    "fine": "green", "pass": "green", "same": "green", "done": "green",
}  # fmt: skip


def is_ornate(stream: TextIO | None = None) -> bool:
    """Whether tables and colours are wanted on `stream`, by default standard output: at a terminal, unless told."""
    stream = stream or sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """`text` without the characters that a terminal would obey."""
    return text.translate(_CONTROLS)


def show(lines: Iterable[str]) -> None:
    """Print lines that may quote others."""
    for line in lines:
        print(printable(line))


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]], otherwise: Iterable[str]) -> None:
    """Print a table at a terminal, without columns of which every cell is empty, or the lines `otherwise`."""
    rows = list(rows)
    if not is_ornate():
        show(otherwise)
        return
    # Loaded by those who look at a terminal only: it is as slow to import as a whole executor.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    filled = [number for number in range(len(head)) if any(row[number] for row in rows)]
    if not filled:
        return
    table = Table(*(head[number] for number in filled), box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for row in rows:
        # Text, not markup: square brackets in it mean nothing.
        cells = (row[number] for number in filled)
        table.add_row(*(Text(printable(cell), style=_STYLES.get(cell, "")) for cell in cells))
    Console().print(table)


def counted(count: int, noun: str) -> str:
    """So many of something, as a sentence says it."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


@contextmanager
def progress(doing: str, *, as_json: bool) -> Iterator[Callable[[str], None]]:
    """Show, from the second second on, what goes on; what is yielded changes the words. At a terminal only."""
    if as_json or not (is_ornate() and is_ornate(sys.stderr)):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.status import Status

    status = Status(printable(doing), console=Console(stderr=True))
    timer = threading.Timer(QUIET_S, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda words: status.update(printable(words))
    finally:
        timer.cancel()
        timer.join()
        status.stop()
