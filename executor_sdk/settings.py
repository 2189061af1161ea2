"""The options of an executor: one frozen object, made once and passed down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from executor_sdk.options import environment as variables
from executor_sdk.options.option import check_names, options_of, settle
from executor_sdk.protocol.plain import MAX_BODY_BYTES, MAX_DEPTH

if TYPE_CHECKING:
    # To build it would cost every start more than to build the settings.
    from typing import Unpack

    from executor_sdk.options.written import Options

_MIB: Final = 1024 * 1024


class Settings(Struct, frozen=True, kw_only=True):
    """Options with their defaults. Times and sizes carry their unit in the name. The comment above each is its meaning
    in `executor describe --settings` and docs/settings.md; `Options` names the same ones as authors write them.

    Raises:
        DefinitionError: a value that does not fit its option.
    """

    #: How long a handler may work, where its decorator says nothing. A kernel hangs up after 30 s and asks again.
    timeout_s: float = 25.0
    #: How long an author's verifier may work; a kernel takes no verdict after 30 s.
    verify_timeout_s: float = 25.0
    #: How long work goes on when nobody asks for it any more: longer than a kernel's resends and one back-off.
    linger_ms: int = 20_000
    #: Whether a later attempt takes over the work of its step, running or done, where the decorator says nothing.
    adopt: bool = True

    #: Works that run at once.
    max_concurrency: int = 64
    #: Works that wait for a slot; one more is answered 503.
    max_queued: int = 256
    #: Copies and attempts that wait for work which runs already; one more is answered 503.
    max_waiting: int = 4_096
    #: Bytes of requests that are held meanwhile: by copies and attempts for the case that the work is cut, and by what
    #: waits for a slot. What is beyond is answered 503.
    max_waiting_bytes: int = 16 * _MIB
    #: Threads for handlers that are plain functions. One abandoned at its deadline holds its thread until it returns.
    threads: int = 40
    #: How long running work may go on when the server shuts down.
    drain_s: float = 20.0
    #: How long one part of the state of the process, a lifespan or a class, may take to open; then nothing is served.
    setup_s: float = 600.0
    #: How long one part of the state of the process may take to close; then it is left as it is.
    close_s: float = 10.0

    #: Bytes of one request; a larger one is answered 413.
    max_body_bytes: int = MAX_BODY_BYTES
    #: Levels of nesting of one request.
    max_depth: int = MAX_DEPTH
    #: The time in which the whole of a request must have come.
    body_timeout_s: float = 10.0
    #: Bytes of all bodies that have come in part; one more part is answered 503. One body always fits.
    max_unfinished_bytes: int = 64 * _MIB
    #: Requests that wait to be read or checked beside the event loop, because they are large or their schemas costly;
    #: one more is answered 503.
    max_judging: int = 64
    #: Bytes that those requests hold; what is beyond is answered 503. One request alone always fits.
    max_judging_bytes: int = 32 * _MIB

    #: File of the execution ledger. Without one the ledger is in memory, where a restart forgets it.
    ledger: Path | None = None
    #: Records of ended work that the ledger keeps at most.
    keep_count: int = 10_000
    #: Bytes of ended work that the ledger keeps at most.
    keep_bytes: int = 64 * _MIB
    #: Age up to which the ledger keeps ended work.
    keep_ms: int = 3_600_000
    #: Age before which no record goes, whatever the three options above say: longer than a kernel waits between
    #: attempts by default.
    keep_least_ms: int = 10_000
    #: Age before which no record goes whose answer nobody has heard.
    keep_unheard_ms: int = 120_000
    #: Bytes of what must be kept; beyond, new work is answered 503.
    keep_full_bytes: int = 256 * _MIB

    #: Folder of the artifacts. Without one they are kept in memory, bounded by `artifacts_bytes`.
    artifacts_dir: Path | None = None
    #: Bytes of artifacts in memory.
    artifacts_bytes: int = 256 * _MIB

    #: Hosts that may be fetched from although their addresses are not public: `name`, `name:port` or `*.domain`.
    allow_hosts: tuple[str, ...] = ()
    #: Folders under which `file://` may be read.
    file_roots: tuple[Path, ...] = ()
    #: How long one fetch may take.
    fetch_timeout_s: float = 20.0
    #: Bytes that one fetch may bring.
    fetch_max_bytes: int = 64 * _MIB

    #: Connections that `executor serve` takes at once; fewer where the process may not open so many files.
    max_connections: int = 1_000
    #: Bytes of a request's first line and header fields, under `executor serve`.
    max_head_bytes: int = 32 * 1024
    #: The time in which a request's first line and header fields must have come, under `executor serve`.
    head_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        settle(self, OPTIONS)

    def changed(self, **options: Unpack[Options]) -> Self:
        """These settings with `options` in place of their own.

        Raises:
            DefinitionError: an option that does not exist, or a value that does not fit; the message says what to
                write instead.
        """
        check_names(options, self.__struct_fields__)
        return replace(self, **options)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], otherwise: Self | None = None) -> Self:
        """Settings from the variables that begin with `EXECUTOR_`; `otherwise` has the options that none of them names.

        Raises:
            DefinitionError: a value that does not fit its option; the message names the variable.
        """
        return replace(otherwise or cls(), **variables.read(environment, OPTIONS))


#: The options by name, with their least values other than 0.
OPTIONS: Final = options_of(
    Settings,
    {
        "max_concurrency": 1, "threads": 1, "max_body_bytes": 1, "max_depth": 8, "max_connections": 1,
        "max_head_bytes": 1_024,
    } | dict.fromkeys(
        (
            "timeout_s", "verify_timeout_s", "setup_s", "close_s", "body_timeout_s", "fetch_timeout_s",
            "head_timeout_s",
        ),
        0.001,
    ),
)  # fmt: skip
