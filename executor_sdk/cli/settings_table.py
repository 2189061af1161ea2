"""The table of all options: for people, for programs, and as docs/settings.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from executor_sdk.options.environment import variable_of
from executor_sdk.settings import OPTIONS, Settings

#: Writes the document again.
COMMAND: Final = "executor describe --settings --markdown > docs/settings.md"

_HEAD: Final = f"""\
# Settings

Every option of an executor. This file is written by `{COMMAND}`.

An author writes `Executor("acme", "drivers-1", timeout_s=60)`. An operator sets `EXECUTOR_TIMEOUT_S=60`, which is over
what the author wrote, however the executor is served: by `executor serve`, by any ASGI server, inside another
application, or by `pytest --conformance --executor-app`. In `in_process` tests no environment counts.

A value that does not fit stops the start. A variable that begins with `EXECUTOR_` and is none of these is told in one
warning. In a variable, commas separate the parts of a tuple, an empty path means none, and 1, 0, yes and no may stand
for True and False.

| Option | Variable | Kind | Default | Meaning |
| --- | --- | --- | --- | --- |
"""


class Row(Struct, frozen=True):
    """One option, as people read of it."""

    name: str
    variable: str
    kind: str
    default: Any
    #: The default in its largest whole unit, as `16 MiB`.
    shown: str
    meaning: str


def rows() -> list[Row]:
    """All options, in the order in which the settings have them."""
    meanings = _meanings(inspect.getsource(Settings))
    return [
        Row(name, variable_of(name), option.expected, option.default, shown(name, option.default), meanings[name])
        for name, option in OPTIONS.items()
    ]


def lines(table: Iterable[Row]) -> Iterator[str]:
    """The table for a terminal."""
    for row in table:
        yield f"{row.name} (default {row.shown})"
        yield f"  {row.variable}: {row.kind}"
        yield f"  {row.meaning}"


def markdown(table: Iterable[Row]) -> str:
    """The document."""
    cells = ((f"`{row.name}`", f"`{row.variable}`", row.kind, row.shown, row.meaning) for row in table)
    return _HEAD + "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n" for row in cells)


def shown(name: str, value: Any) -> str:
    """The value of an option in its largest whole unit."""
    if value in (None, ()):
        return "none"
    if isinstance(value, bool):
        return str(value)
    if name.endswith("_bytes"):
        return _in_units(value, {"MiB": 1024 * 1024, "KiB": 1024, "bytes": 1})
    if name.endswith("_ms"):
        return _in_units(value, {"h": 3_600_000, "min": 60_000, "s": 1_000, "ms": 1})
    return f"{value:g} s" if name.endswith("_s") else f"{value:,}"


def _in_units(value: int, units: dict[str, int]) -> str:
    unit, size = next((unit, size) for unit, size in units.items() if value % size == 0)
    return f"{value // size:,} {unit}"


def _meanings(source: str) -> dict[str, str]:
    """What the comments above the fields of a class say."""
    found: dict[str, str] = {}
    said: list[str] = []
    for line in source.splitlines():
        if comment := re.fullmatch(r"\s+#: (.*)", line):
            said.append(comment[1])
        elif field := re.match(r"\s+(\w+): ", line):
            found[field[1]] = " ".join(said)
            said.clear()
    return found
