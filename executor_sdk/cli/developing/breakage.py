"""Breakage: why an application cannot be served, where in its source, and what callers are told meanwhile."""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

from executor_sdk.executions.outcomes import answered
from executor_sdk.protocol.plain import Json
from executor_sdk.transports.asgi.responses import plain_error, respond

#: Lines shown before and after the one that is wrong, and characters of each.
_AROUND: Final = 2
_LINE: Final = 160

#: Characters of the sentence: an error may quote all the data that it found.
_SENTENCE: Final = 2_000

#: Where code lives that no author of an executor edits: the kit, the standard library, what is installed.
_NOT_THE_AUTHORS: Final = (
    str(Path(__file__).parents[2]),
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    "<",  # of no file: frozen modules, and what is made from text
)


@dataclass(frozen=True, slots=True)
class Breakage:
    """What is wrong: for the terminal a sentence with the file, the line and an excerpt, where these are known."""

    sentence: str
    file: str = ""
    line: int = 0
    excerpt: tuple[str, ...] = ()
    #: The kind of the error, for callers: its text may quote what strangers should not see.
    kind: str = "an error"

    def event(self) -> dict[str, Json]:
        """As the terminal gets it."""
        return {
            "event": "broken",
            "message": self.sentence[:_SENTENCE],
            "file": self.file,
            "line": self.line,
            "excerpt": list(self.excerpt),
        }


def breakage_of(error: BaseException) -> Breakage:
    """Explain what an import raised: a syntax error by its own place, all else by the author's last line."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _at(error.filename, error.lineno, f"{kind}: {error.msg}", kind)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.lineno is not None and not frame.filename.startswith(_NOT_THE_AUTHORS):
            return _at(frame.filename, frame.lineno, f"{kind}: {error}", kind)
    return Breakage(f"{kind}: {error}", kind=kind)


def place_of(error: BaseException | None) -> str:
    """Where in the author's source an import went wrong, as ` (app.py, line 3)`.

    Nothing where that is not known, or the error says it by itself.
    """
    found = None if error is None or isinstance(error, SyntaxError) else breakage_of(error)
    return f" ({found.file}, line {found.line})" if found and found.file else ""


def near(path: str) -> str:
    """A path as a person in the current folder writes it."""
    found, here = Path(path), Path.cwd()
    return str(found.relative_to(here) if found.is_relative_to(here) else found)


class Unserved:
    """Answers in place of an application that cannot be served: 503, so that a kernel tries again."""

    def __init__(self, breakage: Breakage) -> None:
        where = f" in {Path(breakage.file).name}, line {breakage.line}" if breakage.file else ""
        self._sentence = (
            f"the application cannot be served: {breakage.kind}{where}; the terminal of `executor dev` has more"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        outcome = plain_error(503, "NOT_LOADED", self._sentence)
        if scope["path"] == "/health":
            outcome = answered({"status": "unhealthy", "message": self._sentence}, status=503)
        await respond(send, outcome, (b"connection", b"close"))


def _at(file: str, line: int, sentence: str, kind: str) -> Breakage:
    return Breakage(sentence, near(file), line, tuple(_excerpt(file, line)), kind)


def _excerpt(file: str, line: int) -> Iterator[str]:
    linecache.checkcache(file)
    width = len(str(line + _AROUND))
    for number in range(max(1, line - _AROUND), line + _AROUND + 1):
        text = linecache.getline(file, number).rstrip()[:_LINE]
        if text or number == line:
            yield f"{'>' if number == line else ' '} {number:{width}} | {text}"
