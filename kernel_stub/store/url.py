"""Opens the store that a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from kernel_stub.errors import StoreError
from kernel_stub.log.identity import Identity
from kernel_stub.store.port import Store
from kernel_stub.store.session import BodyCache
from kernel_stub.store.sqlite import SqliteDatabase

_SQLITE: Final = "sqlite:///"


@asynccontextmanager
async def open_store(url: str | Path, *, identity: Identity) -> AsyncIterator[Store]:
    """Open the store, making or migrating it as needed; `identity` signs the events that changes append.

    Raises:
        StoreError: there is no such kind of store, it is no store, or a later release wrote it.
    """
    path, bodies = sqlite_path(url), BodyCache()
    database = await to_thread.run_sync(lambda: SqliteDatabase(path, on_rollback=bodies.clear))
    store = Store(database, bodies, identity)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.aclose()


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
