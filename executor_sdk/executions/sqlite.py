"""The ledger in an SQLite file: it outlives its process, and several processes may share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from executor_sdk.errors import BodyDiffersError, SaturatedError, TaskLostError
from executor_sdk.executions.clocks import SharedClock
from executor_sdk.executions.ledger import LedgerError, StepBusyError, TooManyAsksError
from executor_sdk.executions.record import MAX_ASKS, RECORD_BYTES, Ask, Keep, Key, Outcome, State, StepAttempt, Work
from executor_sdk.sqlite.connection import Connection, Row, open_file
from executor_sdk.sqlite.owners import Owner, is_alive
from executor_sdk.sqlite.statements import load_sql
from executor_sdk.sqlite.writer import Writer

T = TypeVar("T")

#: How long another process may hold the file before we give up, in seconds.
BUSY_S: Final = 5.0

SQL: Final = load_sql("executor_sdk.executions", "sql")


class SqliteLedger:
    """A ledger of three tables. The rules are in the records; the statements only find and write.

    A process is alive as long as it holds the lock on a file of its own in the folder `<path>.owners`.
    """

    shared = True

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path).absolute()
        self._owners = self._path.with_name(f"{self._path.name}.owners")
        self._owner: Owner | None = None
        self._clock: SharedClock | None = None
        self._writer = Writer(self._open, error=LedgerError, saturated=SaturatedError, name="ledger")
        self._open_failure: str | None = None

    @property
    def owner(self) -> str:
        """See the port; alive from the first time it is asked."""
        if self._owner is None:
            self._owner = self._beside(Owner, self._owners)
        return self._owner.id

    @property
    def failure(self) -> str | None:
        """See the port."""
        return self._writer.fault or self._open_failure

    def now_ms(self) -> int:
        """See the port; told in the folder of the owners."""
        if self._clock is None:
            self._clock = self._beside(SharedClock, self._owners / "clock")
        return self._clock()

    async def prepare(self) -> None:
        """See the port."""
        _ = self.owner
        await self._writer.run(lambda sql: sql.run("load_work", work_id=""))

    async def join(self, ask: Ask) -> Work | None:
        """See the port."""
        return await self._writer.run(partial(_join, ask=ask))

    async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
        """See the port."""
        return await self._writer.run(partial(_open, ask=ask, new=new))

    async def find(self, key: Key) -> Work | None:
        """See the port."""
        return await self._writer.run(partial(_find, key=key))

    async def start(self, work_id: str, now_ms: int) -> bool:
        """See the port."""
        owner = self.owner
        rows = await self._writer.run(lambda sql: sql.run("start_work", work_id=work_id, owner=owner, now_ms=now_ms))
        return bool(rows)

    async def end(
        self,
        work_id: str,
        state: State,
        outcome: Outcome | None,
        now_ms: int,
        *,
        reason: str | None = None,
        busy: bool = False,
    ) -> Work | None:
        """See the port."""
        values = {
            "work_id": work_id,
            "owner": self.owner,
            "state": state.value,
            "now_ms": now_ms,
            "reason": reason,
            "busy": busy,
            "size_bytes": RECORD_BYTES + (0 if outcome is None else len(outcome.body)),
            **_outcome_values(outcome),
        }

        def write(sql: Connection) -> Work | None:
            sql.run("end_work", **values)
            return _one(sql.run("load_work", work_id=work_id))

        return await self._writer.run(write)

    async def rest(self, work_id: str) -> None:
        """See the port."""
        await self._writer.run(lambda sql: sql.run("rest_work", work_id=work_id))

    async def answered(self, keys: Sequence[Key]) -> None:
        """See the port."""

        def write(sql: Connection) -> None:
            for key in keys:
                sql.run("answer_ask", **_named(key))

        await self._writer.run(write)

    async def turn_down(self, key: Key) -> None:
        """See the port."""
        await self._writer.run(lambda sql: sql.run("turn_down", **_named(key)))

    async def withdraw(self, key: Key, reason: str) -> Work | None:
        """See the port."""
        return await self._writer.run(partial(_withdraw, key=key, reason=reason))

    async def wait_for(self, work_id: str) -> None:
        """See the port."""
        owner = self.owner

        def write(sql: Connection) -> None:
            sql.run("add_wait", work_id=work_id, owner=owner)
            sql.run("count_wait", work_id=work_id)

        await self._writer.run(write)

    async def leave(self, work_id: str) -> None:
        """See the port."""
        owner = self.owner
        await self._writer.run(lambda sql: sql.run("remove_wait", work_id=work_id, owner=owner))

    async def waiting_elsewhere(self, work_id: str) -> tuple[bool, int]:
        """See the port."""

        def read(sql: Connection) -> tuple[list[Row], list[Row]]:
            return sql.run("load_waits", work_id=work_id), sql.run("load_asked_elsewhere", work_id=work_id)

        waits, asked = await self._writer.run(read)
        return any(is_alive(self._owners, owner) for (owner,) in waits), asked[0][0] if asked else 0

    async def report(self, seen: Mapping[str, tuple[float, str]]) -> Sequence[Work]:
        """See the port."""
        owner = self.owner

        def write(sql: Connection) -> list[Work]:
            for work_id, (progress, note) in seen.items():
                sql.run("report_progress", work_id=work_id, owner=owner, progress=progress, note=_storable(note))
            return [_work(row) for row in sql.run("load_cancelled", owner=owner)]

        return await self._writer.run(write)

    async def bury(self, now_ms: int) -> int:
        """See the port."""
        rows = await self._writer.run(lambda sql: sql.run("unfinished_owners"))
        dead = [owner for (owner,) in rows if not is_alive(self._owners, owner)]

        def write(sql: Connection) -> int:
            buried = 0
            for owner in dead:
                buried += len(sql.run("bury_works", owner=owner, now_ms=now_ms, size_bytes=RECORD_BYTES))
                sql.run("bury_threads", owner=owner)
                sql.run("bury_waits", owner=owner)
            return buried

        return await self._writer.run(write) if dead else 0

    async def page(self, after: str, limit: int) -> Sequence[Work]:
        """See the port."""
        rows = await self._writer.run(lambda sql: sql.run("load_page", after=after, limit=limit))
        return [_work(row) for row in rows]

    async def make_room(self, keep: Keep, now_ms: int) -> bool:
        """See the port."""
        return await self._writer.run(partial(_make_room, keep=keep, now_ms=now_ms))

    async def close(self) -> None:
        """See the port."""
        await self._writer.aclose()
        if self._owner is not None:
            self._owner.close()

    def _beside(self, make: Callable[[Path], T], path: Path) -> T:
        """What processes share beside the file."""
        try:
            return make(path)
        except OSError as error:
            self._open_failure = f"{self._owners} cannot be used for the locks of processes: {error}"
            raise LedgerError(self._open_failure) from error

    def _open(self) -> Connection:
        """Called in the writer's thread, again after the file was lost."""
        try:
            connection = open_file(self._path, SQL, error=LedgerError, busy_timeout_s=BUSY_S)
        except LedgerError as error:
            self._open_failure = error.message
            raise
        self._open_failure = None
        return connection


def _join(sql: Connection, ask: Ask) -> Work | None:
    rows = sql.run("load_ask", **_named(ask.key))
    if not rows:
        return None if ask.step is None else _adopt(sql, ask, ask.step, overtaken=False)
    digest, work_id, adopted, withdrawn = rows[0]
    if digest is not None and digest != ask.digest:
        raise BodyDiffersError
    if withdrawn is not None:
        raise TaskLostError(f"this execution was cancelled: {withdrawn}")
    work = _one(sql.run("load_work", work_id=work_id))
    if work is None or not work.opens_anew(ask.key, adopted=bool(adopted)):
        return work
    if work.busy:
        raise StepBusyError(work)
    # Another attempt may have had the step's next start since this one's work was cut.
    return None if ask.step is None else _adopt(sql, ask, ask.step, overtaken=True)


def _adopt(sql: Connection, ask: Ask, step: StepAttempt, *, overtaken: bool) -> Work | None:
    work = _one(sql.run("load_latest_of_step", step_key=step.key))
    if work is None:
        return None
    if work.adoptable_by(ask, overtaken=overtaken):
        ((asks,),) = sql.run("count_asks", work_id=work.work_id)
        if asks >= MAX_ASKS:
            raise TooManyAsksError
        _attach(sql, ask, work.work_id, adopted=True)
        return work
    if work.busy:
        raise StepBusyError(work)
    return None


def _open(sql: Connection, ask: Ask, new: Work) -> tuple[bool, Work]:
    if (known := _join(sql, ask)) is not None:
        return False, known
    sql.run(
        "insert_work",
        work_id=new.work_id,
        step_key=new.step and new.step.key,
        attempt=new.step and new.step.attempt,
        state=new.state.value,
        owner=new.owner,
        opened_ms=new.opened_ms,
        started_ms=new.started_ms,
        task_type=new.task_type,
    )
    _attach(sql, ask, new.work_id, adopted=False)
    return True, new


def _attach(sql: Connection, ask: Ask, work_id: str, *, adopted: bool) -> None:
    sql.run("put_ask", **_named(ask.key), body_digest=ask.digest, work_id=work_id, adopted=adopted)


def _find(sql: Connection, key: Key) -> Work | None:
    return _one(sql.run("load_work_of_ask", **_named(key)))


def _withdraw(sql: Connection, key: Key, reason: str) -> Work | None:
    work = _find(sql, key)
    if work is None or work.ended:
        return work
    sql.run("withdraw_ask", **_named(key), reason=_storable(reason))
    sql.run("cancel_unwanted", work_id=work.work_id, reason=_storable(reason))
    return _find(sql, key)


def _make_room(sql: Connection, keep: Keep, now_ms: int) -> bool:
    beyond = sql.run(
        "forgettable",
        count=keep.count,
        total_bytes=keep.total_bytes,
        oldest_ms=now_ms - keep.age_ms,
        heard_before_ms=now_ms - keep.least_ms,
        unheard_before_ms=now_ms - keep.unheard_ms,
    )
    for (work_id,) in beyond:
        sql.run("forget_asks", work_id=work_id)
        sql.run("forget_waits", work_id=work_id)
        sql.run("forget_work", work_id=work_id)
    ((kept_bytes,),) = sql.run("kept_bytes")
    return bool(kept_bytes < keep.full_bytes)


def _named(key: Key) -> dict[str, str]:
    caller, kind, name = key
    return {"caller": caller, "kind": kind, "name": name}


def _storable(text: str) -> str:
    """`text` as a file can hold it: half of a surrogate pair, which an author may have cut in two, becomes a mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _one(rows: list[Row]) -> Work | None:
    return _work(rows[0]) if rows else None


def _work(row: Row) -> Work:
    (
        work_id, step_key, attempt, state, owner, opened_ms, started_ms, ended_ms, status, body, headers, cancel_reason,
        progress, note, sent, turned_down, busy, task_type,
    ) = row  # fmt: skip
    return Work(
        work_id=work_id,
        step=None if step_key is None else StepAttempt(step_key, attempt),
        state=State(state),
        owner=owner,
        opened_ms=opened_ms,
        started_ms=started_ms,
        ended_ms=ended_ms,
        outcome=None if status is None else Outcome(status, body, _headers(headers)),
        cancel_reason=cancel_reason,
        progress=progress,
        note=note,
        sent=bool(sent),
        turned_down=bool(turned_down),
        busy=bool(busy),
        task_type=task_type,
    )


def _outcome_values(outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"status": None, "body": None, "headers": None}
    headers = orjson.dumps([[name.decode("latin-1"), value.decode("latin-1")] for name, value in outcome.headers])
    return {"status": outcome.status, "body": outcome.body, "headers": headers}


def _headers(stored: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in orjson.loads(stored))
