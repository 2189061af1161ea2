"""Opens the store that a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from kernel_stub.errors import StoreError
from kernel_stub.log.identity import own_identity
from kernel_stub.store.logbook import Logbook, begin_log, has_head, signer_of
from kernel_stub.store.port import Store
from kernel_stub.store.session import BodyCache
from kernel_stub.store.sqlite import SqliteDatabase

_SQLITE: Final = "sqlite:///"


@asynccontextmanager
async def open_store(url: str | Path, *, seed_path: Path) -> AsyncIterator[Store]:
    """Open the store, making or migrating it as needed; the node whose seed is in `seed_path` signs what is appended.

    Raises:
        StoreError: there is no such kind of store, it is no store, or a later release wrote it.
        LogError: the seed is not there, or it is not of the key that signed the log.
    """
    path, bodies, logbook = sqlite_path(url), BodyCache(), Logbook()

    def forget() -> None:
        bodies.clear()
        logbook.forget()

    def opened() -> SqliteDatabase:
        return SqliteDatabase(path, before_commit=logbook.seal, on_rollback=forget)

    database = await to_thread.run_sync(opened)
    try:
        identity = await database.read(lambda transaction: own_identity(seed_path, signer_of(transaction)))
        if not await database.read(lambda transaction: has_head(transaction, identity)):
            await database.write(lambda transaction: begin_log(transaction, identity))
        yield Store(database, bodies, logbook, identity)
    finally:
        with anyio.CancelScope(shield=True):
            await database.aclose()


def sqlite_path(url: str | Path) -> Path:
    """The file in `sqlite:///PATH`, or in a plain path.

    Raises:
        StoreError: the URL names another kind of store.
    """
    if isinstance(url, Path):
        return url
    if url.startswith(_SQLITE):
        url = url.removeprefix(_SQLITE)
    elif "://" in url:
        # The rest may hold a password.
        raise StoreError(f"store_url: {url.partition('://')[0]}:// is no store of this kernel; use sqlite:///PATH")
    if not url:
        raise StoreError("store_url: the path is missing; use sqlite:///PATH")
    return Path(url)
