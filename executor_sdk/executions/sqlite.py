"""The ledger in an SQLite file: it outlives its process, and several processes may share it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from executor_sdk.errors import BodyDiffersError, TaskLostError
from executor_sdk.executions.record import Ask, Keep, Key, Outcome, State, Step, Work
from executor_sdk.executions.sqlite_writer import SqliteWriter

#: One script for each version; a file is brought forward by those it has not had.
MIGRATIONS: Final = (
    """
    CREATE TABLE works (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, work_id TEXT NOT NULL UNIQUE, step_key TEXT, attempt INTEGER,
        state TEXT NOT NULL, owner TEXT NOT NULL, wanted_until_ms INTEGER NOT NULL, opened_ms INTEGER NOT NULL,
        started_ms INTEGER, ended_ms INTEGER, status INTEGER, body BLOB, headers BLOB, cancel_reason TEXT,
        progress REAL NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '', sent INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX works_by_step ON works (step_key, seq) WHERE step_key IS NOT NULL;
    CREATE INDEX works_unfinished ON works (owner) WHERE ended_ms IS NULL;
    CREATE INDEX works_finished ON works (ended_ms, seq) WHERE ended_ms IS NOT NULL;
    CREATE TABLE asks (
        kind TEXT NOT NULL, name TEXT NOT NULL, body_digest BLOB NOT NULL, work_id TEXT NOT NULL,
        adopted INTEGER NOT NULL, withdrawn TEXT, PRIMARY KEY (kind, name)
    ) WITHOUT ROWID;
    CREATE INDEX asks_by_work ON asks (work_id);
    CREATE TABLE owners (owner TEXT PRIMARY KEY, heard_ms INTEGER NOT NULL) WITHOUT ROWID;
    """,
)

_OF_KEY = "SELECT works.* FROM works JOIN asks USING (work_id) WHERE kind = ? AND name = ?"


class SqliteLedger:
    """A ledger of three tables. The rules are in the records; the statements only find and write."""

    shared = True

    def __init__(self, path: Path) -> None:
        self._writer = SqliteWriter(path, MIGRATIONS)

    async def join(self, ask: Ask) -> Work | None:
        """See the port."""
        return await self._writer.run(partial(_join, ask=ask))

    async def open(self, ask: Ask, new: Work) -> tuple[bool, Work]:
        """See the port."""
        return await self._writer.run(partial(_open, ask=ask, new=new))

    async def find(self, key: Key) -> Work | None:
        """See the port."""
        return await self._writer.run(partial(_find, key=key))

    async def start(self, work_id: str, owner: str, now_ms: int) -> bool:
        """See the port."""
        statement = """
            UPDATE works SET state = 'RUNNING', started_ms = ?
            WHERE work_id = ? AND owner = ? AND state = 'QUEUED' AND cancel_reason IS NULL
        """
        return await self._writer.run(lambda sql: sql.execute(statement, (now_ms, work_id, owner)).rowcount == 1)

    async def end(
        self, work_id: str, owner: str, state: State, outcome: Outcome | None, now_ms: int, *, reason: str | None = None
    ) -> Work | None:
        """See the port."""

        def write(sql: sqlite3.Connection) -> Work | None:
            sql.execute(
                """
                UPDATE works SET state = ?, ended_ms = ?, cancel_reason = coalesce(cancel_reason, ?),
                    status = ?, body = ?, headers = ?
                WHERE work_id = ? AND owner = ? AND ended_ms IS NULL
                """,
                (state, now_ms, reason, *_outcome_columns(outcome), work_id, owner),
            )
            return _work(sql.execute("SELECT * FROM works WHERE work_id = ?", (work_id,)).fetchone())

        return await self._writer.run(write)

    async def answered(self, key: Key, now_ms: int) -> None:
        """See the port."""
        statement = """
            UPDATE works SET sent = 1 WHERE work_id = (SELECT work_id FROM asks WHERE kind = ? AND name = ?)
        """
        await self._writer.run(lambda sql: sql.execute(statement, key))

    async def want(self, key: Key, until_ms: int) -> Work | None:
        """See the port."""

        def write(sql: sqlite3.Connection) -> Work | None:
            sql.execute(
                """
                UPDATE works SET wanted_until_ms = max(wanted_until_ms, ?)
                WHERE ended_ms IS NULL AND work_id = (SELECT work_id FROM asks WHERE kind = ? AND name = ?)
                """,
                (until_ms, *key),
            )
            return _find(sql, key)

        return await self._writer.run(write)

    async def withdraw(self, key: Key, reason: str) -> Work | None:
        """See the port."""
        return await self._writer.run(partial(_withdraw, key=key, reason=reason))

    async def beat(self, owner: str, seen: Mapping[str, tuple[float, str]], now_ms: int) -> Sequence[Work]:
        """See the port."""

        def write(sql: sqlite3.Connection) -> list[Work]:
            sql.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (owner, now_ms))
            sql.executemany(
                "UPDATE works SET progress = ?, note = ? WHERE work_id = ? AND ended_ms IS NULL",
                [(progress, note, work_id) for work_id, (progress, note) in seen.items()],
            )
            return _works(sql.execute("SELECT * FROM works WHERE owner = ? AND ended_ms IS NULL", (owner,)))

        return await self._writer.run(write)

    async def bury(self, silent_since_ms: int, now_ms: int) -> int:
        """See the port."""

        def write(sql: sqlite3.Connection) -> int:
            buried = sql.execute(
                """
                UPDATE works SET state = 'LOST', ended_ms = ?
                WHERE ended_ms IS NULL AND coalesce(
                    (SELECT heard_ms FROM owners WHERE owners.owner = works.owner), opened_ms) < ?
                """,
                (now_ms, silent_since_ms),
            ).rowcount
            sql.execute("DELETE FROM owners WHERE heard_ms < ?", (silent_since_ms,))
            return buried

        return await self._writer.run(write)

    async def page(self, after: str, limit: int) -> Sequence[Work]:
        """See the port."""
        statement = """
            SELECT * FROM works WHERE seq > coalesce((SELECT seq FROM works WHERE work_id = ?), 0) ORDER BY seq LIMIT ?
        """
        return await self._writer.run(lambda sql: _works(sql.execute(statement, (after, limit))))

    async def prune(self, keep: Keep, now_ms: int) -> int:
        """See the port."""
        return await self._writer.run(partial(_prune, keep=keep, now_ms=now_ms))

    async def close(self) -> None:
        """See the port."""
        await self._writer.close()


def _join(sql: sqlite3.Connection, ask: Ask) -> Work | None:
    row = sql.execute("SELECT * FROM asks WHERE kind = ? AND name = ?", ask.key).fetchone()
    if row is None:
        return _adopt(sql, ask, ask.step)
    if row["body_digest"] != ask.body_digest:
        raise BodyDiffersError
    if row["withdrawn"] is not None:
        raise TaskLostError(f"this execution was cancelled: {row['withdrawn']}")
    work = _find(sql, ask.key)
    return None if work is None or work.opens_anew(ask.key, adopted=bool(row["adopted"])) else work


def _adopt(sql: sqlite3.Connection, ask: Ask, step: Step | None) -> Work | None:
    if step is None:
        return None
    latest = "SELECT * FROM works WHERE step_key = ? ORDER BY seq DESC LIMIT 1"
    work = _work(sql.execute(latest, (step.key,)).fetchone())
    if work is None or not work.adoptable_by(step):
        return None
    _attach(sql, ask, work.work_id, adopted=True)
    return work


def _open(sql: sqlite3.Connection, ask: Ask, new: Work) -> tuple[bool, Work]:
    if (known := _join(sql, ask)) is not None:
        return False, known
    sql.execute(
        """
        INSERT INTO works (work_id, step_key, attempt, state, owner, wanted_until_ms, opened_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (
            new.work_id,
            new.step and new.step.key,
            new.step and new.step.attempt,
            new.state,
            new.owner,
            new.wanted_until_ms,
            new.opened_ms,
        ),
    )
    _attach(sql, ask, new.work_id, adopted=False)
    return True, new


def _attach(sql: sqlite3.Connection, ask: Ask, work_id: str, *, adopted: bool) -> None:
    sql.execute(
        "INSERT OR REPLACE INTO asks (kind, name, body_digest, work_id, adopted) VALUES (?, ?, ?, ?, ?)",
        (*ask.key, ask.body_digest, work_id, adopted),
    )


def _find(sql: sqlite3.Connection, key: Key) -> Work | None:
    return _work(sql.execute(_OF_KEY, key).fetchone())


def _withdraw(sql: sqlite3.Connection, key: Key, reason: str) -> Work | None:
    work = _find(sql, key)
    if work is None or work.ended:
        return work
    sql.execute("UPDATE asks SET withdrawn = coalesce(withdrawn, ?) WHERE kind = ? AND name = ?", (reason, *key))
    sql.execute(
        """
        UPDATE works SET cancel_reason = coalesce(cancel_reason, ?)
        WHERE work_id = ? AND NOT EXISTS (SELECT 1 FROM asks WHERE work_id = works.work_id AND withdrawn IS NULL)
        """,
        (reason, work.work_id),
    )
    return _find(sql, key)


def _prune(sql: sqlite3.Connection, keep: Keep, now_ms: int) -> int:
    beyond = """
        SELECT work_id FROM (
            SELECT work_id, ended_ms, row_number() OVER newest AS place,
                sum(coalesce(length(body), 0)) OVER newest AS bytes
            FROM works WHERE ended_ms IS NOT NULL WINDOW newest AS (ORDER BY ended_ms DESC, seq DESC)
        ) WHERE place > ? OR bytes > ? OR ended_ms < ?
    """
    gone = [(row["work_id"],) for row in sql.execute(beyond, (keep.count, keep.total_bytes, now_ms - keep.age_ms))]
    sql.executemany("DELETE FROM asks WHERE work_id = ?", gone)
    sql.executemany("DELETE FROM works WHERE work_id = ?", gone)
    return len(gone)


def _works(rows: sqlite3.Cursor) -> list[Work]:
    return [work for row in rows if (work := _work(row)) is not None]


def _work(row: sqlite3.Row | None) -> Work | None:
    if row is None:
        return None
    return Work(
        work_id=row["work_id"],
        step=None if row["step_key"] is None else Step(row["step_key"], row["attempt"]),
        state=State(row["state"]),
        owner=row["owner"],
        wanted_until_ms=row["wanted_until_ms"],
        opened_ms=row["opened_ms"],
        started_ms=row["started_ms"],
        ended_ms=row["ended_ms"],
        outcome=None if row["status"] is None else Outcome(row["status"], row["body"], _headers(row["headers"])),
        cancel_reason=row["cancel_reason"],
        progress=row["progress"],
        note=row["note"],
        sent=bool(row["sent"]),
    )


def _outcome_columns(outcome: Outcome | None) -> tuple[Any, Any, Any]:
    if outcome is None:
        return None, None, None
    headers = orjson.dumps([[name.decode("latin-1"), value.decode("latin-1")] for name, value in outcome.headers])
    return outcome.status, outcome.body, headers


def _headers(stored: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in orjson.loads(stored))
