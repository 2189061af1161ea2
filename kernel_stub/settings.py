"""The kernel's options, frozen; made by what starts a kernel, and handed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Milliseconds below which polling would only burn the disk.
MIN_POLL_MS: Final = 25


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """All options of one kernel. `_s` are seconds, `_ms` milliseconds."""

    #: Where the store, the node's key and the artifacts live.
    state_dir: Path
    #: The store: `sqlite:///PATH` or a plain path; None for the file in the state directory.
    store_url: str | Path | None = None
    #: How long one call to an executor may take in all.
    call_timeout_s: float = 30.0
    #: How many more times the same bytes are sent after a transport error.
    resends: int = 4
    #: How long a step that the store would not settle waits before it is resumed. A claimed step is held as long as
    #: its worker's process lives. A third of this, and at most a second, is the longest that a worker works on for a
    #: run that another process has cancelled.
    lease_ms: int = 30_000
    #: How long an idle worker waits before it looks again; in-process changes wake it sooner.
    poll_ms: int = 250
    #: How many steps a worker keeps in flight.
    concurrency: int = 8
    #: How many of these one executor may have, so that the others have a place too; None for all but one.
    steps_per_executor: int | None = None
    #: How many calls in a row an executor may leave without an answer. Then, as before it was heard at all, it is given
    #: one step at a time, beside the places of the others, until it answers.
    silent_after: int = 3
    #: How many crashes of ours one attempt survives before the step is dead-lettered.
    max_recoveries: int = 10
    #: How long an executor's address, and its answers to `/health` and `/capabilities`, stand for the next step.
    probe_ttl_ms: int = 2_000
    #: How long a stopping worker lets its steps in flight end; the rest is resumed by the next worker.
    drain_s: float = 5.0
    #: Bytes of one request body that the API takes.
    max_body_bytes: int = 4 * 1024 * 1024
    #: Connections to the API at once; fewer where the process may not open so many files.
    max_connections: int = 1_000
    #: Bytes of a request's first line and header fields, and the time in which these must have come.
    max_head_bytes: int = 32 * 1024
    head_timeout_s: float = 10.0

    #: Node ids whose signatures in the log count beside the node's own.
    trusted_keys: tuple[str, ...] = ()

    @property
    def most_of_one_executor(self) -> int:
        """Steps of one executor that a worker keeps in flight."""
        return max(1, self.concurrency - 1) if self.steps_per_executor is None else self.steps_per_executor

    @property
    def store_path(self) -> Path:
        """The SQLite file of a kernel that is given no `store_url`."""
        return self.state_dir / "kernel.sqlite3"

    @property
    def seed_path(self) -> Path:
        """The seed of the node's signing key."""
        return self.state_dir / "node_seed.hex"

    @property
    def artifacts_dir(self) -> Path:
        """The content-addressed files."""
        return self.state_dir / "artifacts"

    @property
    def outputs_dir(self) -> Path:
        """The outputs of candidates among them; a replay reads what steps said in earlier rounds there."""
        return self.artifacts_dir / "references"
