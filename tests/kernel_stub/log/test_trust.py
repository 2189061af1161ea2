"""Whose signatures count, and when a node may make itself a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_stub.errors import ForeignSeedError, SeedLostError
from kernel_stub.log.identity import NoTrustedKeyError, is_key, load_or_create, own_identity, trusted_for_a_file

_OTHER = "ab" * 32


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
