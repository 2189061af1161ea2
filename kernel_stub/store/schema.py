"""The schema of the SQLite file: its version, and the way forward from every older one."""

from __future__ import annotations

import sqlite3
from typing import Final

from kernel_stub.errors import StoreError
from kernel_stub.store.statements import script

#: One script a version, applied in order; a released one is never edited.
MIGRATIONS: Final = ("schema_1.sql", "schema_2.sql")


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the file to the newest version in one transaction; returns the version it had.

    Raises:
        StoreError: a newer kernel wrote the file.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read inside the transaction: another process may have migrated while this one waited for the lock.
        version = _version(connection)
        for name in MIGRATIONS[version:]:
            for statement in script(name):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return version


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(f"the store has schema version {version}; this kernel knows {len(MIGRATIONS)}: upgrade it")
    return version
