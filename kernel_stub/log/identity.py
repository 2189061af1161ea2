"""Keys: the node's own, from a seed file that only its owner can read, and those that a log may be signed by."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Final, TypeAlias

from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError as NaClBadSignatureError
from nacl.signing import VerifyKey

from kernel_stub.errors import ForeignSeedError, LogError, SeedError, SeedLostError

#: Node ids whose signatures count.
Trusted: TypeAlias = frozenset[str]

_SEED_BYTES: Final = 32
_KEY: Final = re.compile(r"[0-9a-f]{64}")


class NoTrustedKeyError(LogError):
    """No key to hold this file against: name one (--trust), or the state directory of the node that signed it."""

    code = "NO_TRUSTED_KEY"


class Identity:
    """A node that can sign; `node_id` is the hex of its public key."""

    def __init__(self, seed: bytes) -> None:
        public_key, self._secret_key = crypto_sign_seed_keypair(seed)
        self.node_id = public_key.hex()

    def sign(self, message: bytes) -> str:
        """The hex Ed25519 signature of `message`; the same message always gives the same signature."""
        # The signature stands before the message. SigningKey would copy both twice, ten times a step.
        return crypto_sign(message, self._secret_key)[:crypto_sign_BYTES].hex()


def load(seed_path: Path) -> Identity:
    """The identity whose seed is in this file.

    Raises:
        SeedError: the file does not hold 64 hex digits.
        FileNotFoundError: there is no such file.
    """
    try:
        seed = bytes.fromhex(seed_path.read_text(encoding="ascii").strip())
    except ValueError:
        raise SeedError(seed_path) from None
    if len(seed) != _SEED_BYTES:
        raise SeedError(seed_path)
    return Identity(seed)


def load_or_create(seed_path: Path) -> Identity:
    """The identity of a state directory, made if there is none yet: only a node whose log is empty may ask for that.

    Of several processes that start at once, the first to write its seed wins.
    """
    if not seed_path.exists():
        _create(seed_path)
    return load(seed_path)


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


def is_signed_by(node_id: str, message: bytes, signature_hex: str) -> bool:
    """Whether `signature_hex` is the signature of `message` by the node."""
    try:
        VerifyKey(bytes.fromhex(node_id)).verify(message, bytes.fromhex(signature_hex))
    except (ValueError, TypeError, NaClBadSignatureError):
        return False
    return True


def _create(seed_path: Path) -> None:
    """Write the seed beside its place, then link it there: no reader sees half a file, and the first process wins."""
    seed_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = seed_path.with_name(f"{seed_path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_SEED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        _link(draft, seed_path)
    finally:
        draft.unlink()


def _link(draft: Path, seed_path: Path) -> None:
    try:
        os.link(draft, seed_path)
    except FileExistsError:
        return
    directory = os.open(seed_path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
