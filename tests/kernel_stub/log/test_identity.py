"""The node's key in its seed file, and whose signatures count beside it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kernel_stub.errors import ForeignSeedError, SeedError, SeedLostError
from kernel_stub.log.identity import (
    Identity,
    NoTrustedKeyError,
    is_key,
    is_signed_by,
    load_or_create,
    own_identity,
    trusted_for_a_file,
)

_OTHER = "ab" * 32


def test_the_first_start_makes_the_seed_and_later_ones_read_it(tmp_path: Path) -> None:
    """One state directory is one node."""
    first = load_or_create(tmp_path / "state" / "node_seed.hex")

    assert load_or_create(tmp_path / "state" / "node_seed.hex").node_id == first.node_id
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["node_seed.hex"]


def test_only_its_owner_can_read_the_seed(tmp_path: Path) -> None:
    """Whoever has it can sign as this node."""
    load_or_create(tmp_path / "state" / "node_seed.hex")

    assert (tmp_path / "state" / "node_seed.hex").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_starts_at_once_agree_on_one_seed(tmp_path: Path) -> None:
    """A worker started beside the server is the same node."""
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_or_create(tmp_path / "seed.hex").node_id)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "ab" * 31, "ä" * 64])
def test_a_broken_seed_file_is_told_and_not_replaced(tmp_path: Path, text: str) -> None:
    """Making a new one would silently be another node."""
    path = tmp_path / "node_seed.hex"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SeedError, match="64 hex digits"):
        load_or_create(path)

    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("signature", ["", "00", "zz" * 64, "ä" * 128, "00" * 64])
def test_nonsense_is_nobodys_signature(signature: str) -> None:
    """It is a verdict, never an exception."""
    assert not is_signed_by(Identity(b"1" * 32).node_id, b"message", signature)
    assert not is_signed_by("nobody", b"message", "00" * 64)


def test_only_a_node_whose_log_is_empty_makes_a_seed(tmp_path: Path) -> None:
    """A new seed beside a log that somebody signed would silently be another node."""
    path = tmp_path / "node_seed.hex"

    with pytest.raises(SeedLostError, match=f"not there, and key {_OTHER} signed the log beside it; put that seed"):
        own_identity(path, _OTHER)
    assert not path.exists()
    assert own_identity(path, None).node_id == own_identity(path, None).node_id


def test_a_log_beside_another_seed_is_an_error(tmp_path: Path) -> None:
    """Both keys are told."""
    path = tmp_path / "node_seed.hex"
    own = load_or_create(path).node_id

    assert own_identity(path, own).node_id == own
    with pytest.raises(ForeignSeedError, match=f"seed is of key {own}, but key {_OTHER} signed its log"):
        own_identity(path, _OTHER)


def test_a_file_is_held_against_the_nodes_key_and_those_that_are_named(tmp_path: Path) -> None:
    """Never against one that it names itself."""
    path = tmp_path / "node_seed.hex"
    with pytest.raises(NoTrustedKeyError, match="name one"):
        trusted_for_a_file(path, ())
    assert trusted_for_a_file(path, [_OTHER]) == {_OTHER}
    assert not path.exists()

    own = load_or_create(path).node_id

    assert trusted_for_a_file(path, ()) == {own}
    assert trusted_for_a_file(path, [_OTHER]) == {own, _OTHER}


def test_a_key_is_written_as_node_ids_are() -> None:
    """64 lower-case hex digits."""
    assert is_key(_OTHER)
    assert not any(is_key(text) for text in ("", "ab", _OTHER.upper(), _OTHER + "\n", "zz" * 32))
