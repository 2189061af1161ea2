"""The options of an executor: one frozen object, made once and passed down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self

from executor_sdk.errors import DefinitionError
from executor_sdk.protocol.plain import MAX_BODY_BYTES, MAX_DEPTH

#: What names of environment variables begin with.
PREFIX: Final = "EXECUTOR_"

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options with their defaults. Times and sizes carry their unit in the name; a tuple is comma-separated in text."""

    #: How long a handler may work, where its decorator says nothing. A kernel hangs up after 30 s and asks again.
    timeout_s: float = 25.0
    #: How long an author's verifier may work; a kernel takes no verdict after 30 s.
    verify_timeout_s: float = 25.0
    #: How long work goes on when nobody asks for it any more: longer than a kernel's resends and one back-off.
    linger_ms: int = 20_000
    #: Whether a later attempt takes over the work of its step, running or done, where the decorator says nothing.
    adopt: bool = True

    #: Works that run at once, and that wait for a slot; one more is answered 503.
    max_concurrency: int = 64
    max_queued: int = 256
    #: Copies and attempts that wait for work which runs already; and bytes of requests that are held meanwhile, by
    #: them for the case that the work is cut, and by what waits for a slot. What is beyond is answered 503.
    max_waiting: int = 4_096
    max_waiting_bytes: int = 16 * _MIB
    #: Threads for handlers that are plain functions. One abandoned at its deadline holds its thread until it returns.
    threads: int = 40
    #: How long running work may go on when the server shuts down.
    drain_s: float = 20.0

    #: Bounds of one request: its bytes, its nesting, and the time in which the whole of it must have come.
    max_body_bytes: int = MAX_BODY_BYTES
    max_depth: int = MAX_DEPTH
    body_timeout_s: float = 10.0
    #: Bytes of all bodies that have come in part; one more part is answered 503. One body always fits.
    max_unfinished_bytes: int = 64 * _MIB
    #: Requests that wait to be read or checked beside the event loop, because they are large or their schemas costly,
    #: and bytes that they hold; one more is answered 503. One alone always fits.
    max_judging: int = 64
    max_judging_bytes: int = 32 * _MIB

    #: File of the execution ledger; None keeps it in memory, where a restart forgets it.
    ledger: Path | None = None
    #: What the ledger keeps of ended work: at most so many, so large, so old.
    keep_count: int = 10_000
    keep_bytes: int = 64 * _MIB
    keep_ms: int = 3_600_000
    #: But no record goes before this age, which is longer than a kernel waits between attempts by default; and none
    #: whose answer nobody has heard before that age. What must be kept takes so much; beyond, new work is answered 503.
    keep_least_ms: int = 10_000
    keep_unheard_ms: int = 120_000
    keep_full_bytes: int = 256 * _MIB

    #: Folder of the artifacts; None keeps them in memory, bounded by `artifacts_bytes`.
    artifacts_dir: Path | None = None
    artifacts_bytes: int = 256 * _MIB

    #: Hosts that may be fetched from although their addresses are not public: `name`, `name:port` or `*.domain`.
    allow_hosts: tuple[str, ...] = ()
    #: Folders under which `file://` may be read.
    file_roots: tuple[Path, ...] = ()
    fetch_timeout_s: float = 20.0
    fetch_max_bytes: int = 64 * _MIB

    #: Bounds of a server: connections at once, fewer where the process may not open so many files; bytes of a
    #: request's first line and header fields; and the time in which these must have come.
    max_connections: int = 1_000
    max_head_bytes: int = 32 * 1024
    head_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("ledger", "artifacts_dir"):
            if isinstance(path := getattr(self, name), str):
                object.__setattr__(self, name, Path(path))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in {"int", "float"} and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise DefinitionError(f"the option {field.name} is {value!r}; it must be a number")
            if type(value) in {int, float} and not value >= _LEAST.get(field.name, 0):
                raise DefinitionError(
                    f"the option {field.name} is {value}; it must be at least {_LEAST.get(field.name, 0)}"
                )

    def changed(self, **options: Any) -> Self:
        """These settings with `options` in place of their own.

        Raises:
            DefinitionError: an option that does not exist; the message guesses which one was meant.
        """
        for name in options:
            if name not in _NAMES:
                raise DefinitionError(_unknown(name))
        return replace(self, **options)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Settings from the variables that begin with `EXECUTOR_`; those of other tools are left alone.

        Raises:
            DefinitionError: a value that cannot be read as its option's kind.
        """
        given = {name: environment[PREFIX + name.upper()] for name in _NAMES if PREFIX + name.upper() in environment}
        return cls().changed(**{name: _read(name, text) for name, text in given.items()})


#: Least values other than 0.
_LEAST: Final = {
    "max_concurrency": 1, "threads": 1, "max_body_bytes": 1, "max_depth": 8, "max_connections": 1,
    "max_head_bytes": 1_024,
} | dict.fromkeys(
    ("timeout_s", "verify_timeout_s", "body_timeout_s", "fetch_timeout_s", "head_timeout_s"), 0.001
)  # fmt: skip

_NAMES: Final = tuple(field.name for field in fields(Settings))


def _unknown(name: str) -> str:
    guesses = get_close_matches(name, _NAMES, n=1)
    hint = f"did you mean {guesses[0]}?" if guesses else f"there are: {', '.join(_NAMES)}"
    return f"no option is named {name!r}; {hint}"


def _read(name: str, text: str) -> object:
    kind = next(field.type for field in fields(Settings) if field.name == name)
    try:
        return _READERS[str(kind)](text)
    except (ValueError, KeyError):
        raise DefinitionError(f"{PREFIX}{name.upper()}={text!r} cannot be read as {kind}") from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "int": int,
    "float": float,
    "bool": lambda text: {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()],
    "Path | None": lambda text: Path(text) if text else None,
    "tuple[str, ...]": _listed,
    "tuple[Path, ...]": lambda text: tuple(Path(part) for part in _listed(text)),
}
