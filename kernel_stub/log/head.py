"""The signed head of a log: how many entries it has, and the link of the last one."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import asdict, replace

from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json
from kernel_stub.errors import BrokenHeadError, UnreadableHeadError
from kernel_stub.log.chain import GENESIS
from kernel_stub.log.identity import Identity, Trusted, is_signed_by

#: What is signed begins with this, so that no other signature of the node is one of a head.
_PURPOSE: Final = b"kernel-stub log head:"


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a log stands. Who kept a head elsewhere can tell a log that was rolled back since.

    `events` is the number of the last task event, as the kernel's own head is; `adopted` how many entries were there
    before this log had a chain: these were chained as they stood.
    """

    events: int
    run_events: int
    entries: int
    adopted: int
    chain: str
    node_id: str
    signature_hex: str = ""

    @property
    def link(self) -> bytes:
        """The link of the last entry."""
        return bytes.fromhex(self.chain)


def empty_head(identity: Identity) -> Head:
    """The head of a log without entries."""
    return signed_head(identity, Head(0, 0, 0, 0, GENESIS.hex(), identity.node_id))


def signed_head(identity: Identity, head: Head) -> Head:
    """The head with this node's signature."""
    own = replace(head, node_id=identity.node_id)
    return replace(own, signature_hex=identity.sign(_unsigned_bytes(own)))


def check_head(head: Head, trusted: Trusted) -> None:
    """Raises BrokenHeadError unless a trusted key signed the head."""
    if head.node_id not in trusted:
        said = " or ".join(sorted(trusted))
        raise BrokenHeadError(head.entries, f"key {head.node_id} signed it, expected was {said}")
    if not is_signed_by(head.node_id, _unsigned_bytes(head), head.signature_hex):
        raise BrokenHeadError(head.entries, "its signature is not its node's")


def head_document(head: Head) -> dict[str, Json]:
    """The head as it is shown and kept."""
    return asdict(head)


def read_head(text: bytes) -> Head:
    """The head in what `log head` printed: its last line.

    Raises:
        UnreadableHeadError: there is none.
    """
    lines = text.split()
    try:
        head = msgspec.json.decode(lines[-1], type=Head)
        if len(head.link) == len(GENESIS):
            return head
    except (IndexError, ValueError):
        pass
    raise UnreadableHeadError


def _unsigned_bytes(head: Head) -> bytes:
    facts = asdict(head)
    del facts["signature_hex"]
    return _PURPOSE + declared_bytes(facts)
