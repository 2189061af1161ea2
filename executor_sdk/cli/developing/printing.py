"""What `executor dev` prints: its events as lines for people, or as JSON lines for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import orjson
from rich.console import Console
from rich.text import Text

Event: TypeAlias = dict[str, Any]
#: A line, and how it looks on a terminal.
Line: TypeAlias = tuple[str, str]

_STYLES: Final[Mapping[str, str]] = {"fact": "", "good": "green", "warning": "yellow", "bad": "bold red"}

#: Characters of an execution id that a line shows: its kind and eight more.
_ID: Final = 15


class _Terminal(Console):
    """A console whose reader may leave."""

    def on_broken_pipe(self) -> None:
        """Tell the command, which ends in order; by default the console would end the process."""
        raise BrokenPipeError


def printer(*, as_json: bool) -> Callable[[Event], None]:
    """What prints an event at once, on standard output; plain text where that is no terminal."""
    if as_json:
        return _print_json
    console = _Terminal(highlight=False, soft_wrap=True)

    def show(event: Event) -> None:
        for line, style in lines(event):
            console.print(Text(line, style=style))
        console.file.flush()

    return show


def lines(event: Event) -> Iterator[Line]:
    """An event for people. Text from outside cannot break a line, nor speak to the terminal."""
    for line, style in _LINES[event["event"]](event):
        yield "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in line), style


def _print_json(event: Event) -> None:
    sys.stdout.write(orjson.dumps(event).decode() + "\n")
    sys.stdout.flush()


def _served(event: Event) -> Iterator[Line]:
    yield f"{event['app']} is served at {event['url']}", "bold"
    yield "saving a source loads it again; Ctrl-C ends everything", ""


def _reloading(event: Event) -> Iterator[Line]:
    yield f"{', '.join(event['changed'])} changed: loading again", "cyan"


def _ready(_: Event) -> Iterator[Line]:
    yield "ready", "green"


def _broken(event: Event) -> Iterator[Line]:
    where = f"{event['file']}, line {event['line']}: " if event["file"] else ""
    yield f"NOT SERVED, {where}{event['message']}", "bold red"
    for line in event["excerpt"]:
        yield f"  {line}", "red" if line.startswith(">") else ""
    yield "  every request is answered 503 until the next good save", ""


def _request(event: Event) -> Iterator[Line]:
    facts = [event["task_type"], event["execution_id"][:_ID], event["how"]]
    end = "the caller hung up" if event["status"] is None else str(event["status"])
    said = f"  {event['said']}" if event["said"] else ""
    shown = " ".join(fact for fact in facts if fact)
    yield f"{event['method']} {event['path']} {shown}{' ' if shown else ''}{end} {event['ms']:g} ms{said}", _look(event)


def _look(event: Event) -> str:
    status = event["status"]
    if status is None or status >= 400:
        return "red"
    return "yellow" if event["said"] else "dim"


def _said(event: Event) -> Iterator[Line]:
    yield f"run: {event['sentence']}", _STYLES[event["weight"]]
    if event["mend"]:
        yield f"  -> {event['mend']}", "cyan"


_LINES: Final[Mapping[str, Callable[[Event], Iterator[Line]]]] = {
    "served": _served,
    "reloading": _reloading,
    "ready": _ready,
    "broken": _broken,
    "request": _request,
    "run": _said,
}
