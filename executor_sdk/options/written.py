"""The options in the forms in which authors may write them, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict


class Options(TypedDict, total=False):
    """The fields of `Settings`, which has their defaults and their meanings."""

    timeout_s: float
    verify_timeout_s: float
    linger_ms: int
    adopt: bool
    max_concurrency: int
    max_queued: int
    max_waiting: int
    max_waiting_bytes: int
    threads: int
    drain_s: float
    setup_s: float
    close_s: float
    max_body_bytes: int
    max_depth: int
    body_timeout_s: float
    max_unfinished_bytes: int
    max_judging: int
    max_judging_bytes: int
    ledger: str | Path | None
    keep_count: int
    keep_bytes: int
    keep_ms: int
    keep_least_ms: int
    keep_unheard_ms: int
    keep_full_bytes: int
    artifacts_dir: str | Path | None
    artifacts_bytes: int
    allow_hosts: str | Sequence[str]
    file_roots: str | Path | Sequence[str | Path]
    fetch_timeout_s: float
    fetch_max_bytes: int
    max_connections: int
    max_head_bytes: int
    head_timeout_s: float
