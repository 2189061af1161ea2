"""Loading an ASGI application by its name, `module:attr`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

#: The attribute that is meant when only a module is named.
DEFAULT_ATTRIBUTE: Final = "executor"


class AppError(ValueError):
    """An application cannot be loaded; the message says why."""


def load_app(name: str) -> ASGIApp:
    """The ASGI application `name`, looked for in the current directory too.

    Raises:
        AppError: there is no such module or attribute, the module cannot be imported, or it holds no application.
    """
    module_name, attribute = split(name)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise AppError(f"cannot load {name!r}: {type(error).__name__}: {error}{_hint(module_name)}") from error
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise AppError(f"cannot load {name!r}: {error}") from error
    if not callable(found):
        raise AppError(f"{name!r} is a {type(found).__name__}, not an ASGI application")
    app: ASGIApp = found
    return app


def split(name: str) -> tuple[str, str]:
    """Module and attribute of a name; the attribute is `executor` where none is named."""
    module_name, _, attribute = name.partition(":")
    return module_name, attribute or DEFAULT_ATTRIBUTE


def _hint(module_name: str) -> str:
    path = module_name.removesuffix(".py")
    return "" if path == module_name else f"; name the module, as {Path(path).name}:{DEFAULT_ATTRIBUTE}"
