"""Which keys a log may be signed by: the node's own, and others only where they are named."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final, TypeAlias

from kernel_stub.errors import ForeignSeedError, LogError, SeedLostError
from kernel_stub.log.identity import Identity, load, load_or_create

#: Node ids whose signatures count.
Trusted: TypeAlias = frozenset[str]

_KEY: Final = re.compile(r"[0-9a-f]{64}")


class NoTrustedKeyError(LogError):
    """No key to hold this file against: name one (--trust), or the state directory of the node that signed it."""

    code = "NO_TRUSTED_KEY"


def own_identity(seed_path: Path, signer: str | None) -> Identity:
    """The node's identity; `signer` is the key that signed its log, None while the log is empty.

    Raises:
        SeedLostError: the log has entries, and the seed that signed them is gone.
        ForeignSeedError: the seed is of another key than the log.
    """
    if signer is None:
        return load_or_create(seed_path)
    if not seed_path.exists():
        raise SeedLostError(seed_path, signer)
    identity = load(seed_path)
    if identity.node_id != signer:
        raise ForeignSeedError(found=identity.node_id, expected=signer)
    return identity


def trusted_for_a_file(seed_path: Path, named: Collection[str]) -> Trusted:
    """The keys that an exported log is held against; never the ones that it names itself.

    Raises:
        NoTrustedKeyError: there is no seed, and no key was named.
    """
    own = [load(seed_path).node_id] if seed_path.exists() else []
    if trusted := frozenset([*own, *named]):
        return trusted
    raise NoTrustedKeyError


def is_key(text: str) -> bool:
    """Whether `text` is written as node ids are: 64 lower-case hex digits."""
    return _KEY.fullmatch(text) is not None
