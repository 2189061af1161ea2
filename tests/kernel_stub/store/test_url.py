"""The URL that names a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_stub.errors import StoreError
from kernel_stub.store.url import sqlite_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///kernel.sqlite3", "kernel.sqlite3"),
        ("sqlite:////var/lib/kernel.sqlite3", "/var/lib/kernel.sqlite3"),
        ("state/kernel.sqlite3", "state/kernel.sqlite3"),
        (Path("state/kernel.sqlite3"), "state/kernel.sqlite3"),
    ],
)
def test_a_store_is_named_by_its_url_or_its_path(url: str | Path, path: str) -> None:
    """Three slashes, then the path as it is."""
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@host/kernel", r"^store_url: postgresql:// is no store of this kernel; use sqlite"),
        ("sqlite://kernel.sqlite3", "is no store of this kernel"),
        ("sqlite:///", "the path is missing"),
        ("", "the path is missing"),
    ],
)
def test_any_other_url_is_refused_without_its_password(url: str, said: str) -> None:
    """With what to write instead."""
    with pytest.raises(StoreError, match=said) as refused:
        sqlite_path(url)
    assert "secret" not in str(refused.value)
