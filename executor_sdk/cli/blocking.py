"""Calls in an `async def` that hold up the whole event loop, found in its source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from msgspec import Struct

_FETCH: Final = "await task.fetch(url), or a client whose calls are awaited"
_PROCESS: Final = "await anyio.run_process([...])"

#: What to write instead of each, by the first part of its module's name and its own.
INSTEAD: Final[Mapping[str, str]] = {
    "time.sleep": "await anyio.sleep(seconds)",
    "urllib.urlopen": _FETCH,
    **dict.fromkeys((f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")), _PROCESS),
    "posix.system": _PROCESS,
    **dict.fromkeys(
        (
            f"{library}.{name}"
            for library in ("requests", "httpx", "httpx2")
            for name in ("get", "post", "put", "patch", "delete", "head", "options", "request")
        ),
        _FETCH,
    ),
}


class Blocking(Struct, frozen=True):
    """A call that blocks: as it is written, where, and what to write instead."""

    call: str
    place: str
    instead: str


def blocking_calls(function: Callable[..., Any]) -> Iterator[Blocking]:
    """The blocking calls that `function` itself makes.

    Nothing is guessed: a name counts only if it is the very function that blocks. What stands in a function inside may
    run in a thread, and what other functions call is not seen. Without its source there is nothing to say.
    """
    written = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(written)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return
    file = inspect.getsourcefile(written)
    known = _names(written)
    for call in _calls(tree.body[0]):
        found = _resolved(call.func, known)
        name = f"{(getattr(found, '__module__', None) or '').partition('.')[0]}.{getattr(found, '__name__', '')}"
        if inspect.isroutine(found) and name in INSTEAD:
            yield Blocking(ast.unparse(call.func), f"{file}:{first + call.lineno - 1}", INSTEAD[name])


def _names(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The global names that the function sees: without those that it, or one around it, has of its own."""
    code = function.__code__
    own = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    return {name: value for name, value in function.__globals__.items() if name not in own}


def _calls(definition: ast.AST) -> Iterator[ast.Call]:
    """The calls in the body of a function, in their order; not those of functions inside."""
    waiting = list(getattr(definition, "body", ()))
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting = [*ast.iter_child_nodes(node), *waiting]


def _resolved(written: ast.expr, known: Mapping[str, Any]) -> object:
    """What `time.sleep` stands for. Only modules are asked for an attribute: others may compute it."""
    if isinstance(written, ast.Name):
        return known.get(written.id)
    if isinstance(written, ast.Attribute):
        owner = _resolved(written.value, known)
        return getattr(owner, written.attr, None) if isinstance(owner, ModuleType) else None
    return None
