"""The signed head: printed, kept, read back."""

from __future__ import annotations

import orjson
import pytest
from msgspec.structs import replace

from kernel_stub.errors import BrokenHeadError, UnreadableHeadError
from kernel_stub.log.head import check_head, empty_head, head_document, read_head
from tests.kernel_stub.log.made import NODE, STRANGER, made_log

_TRUSTED = frozenset({NODE.node_id})


def test_what_was_printed_of_a_head_is_read_back() -> None:
    """The kernel's number stands on a line before; whoever kept only the document has kept enough."""
    head = made_log().head
    document = orjson.dumps(head_document(head))

    assert read_head(b"8\n" + document + b"\n") == read_head(document) == head
    assert next(iter(head_document(head))) == "events"
    assert (head.events, head.run_events, head.entries) == (8, 4, 12)


@pytest.mark.parametrize(
    "text", [b"", b"8\n", b"{}", b"[1]", b"\xff", orjson.dumps({**head_document(empty_head(NODE)), "chain": "zz"})]
)
def test_what_is_no_head_is_told(text: bytes) -> None:
    """With what to give instead."""
    with pytest.raises(UnreadableHeadError, match="give what `log head` printed"):
        read_head(text)


@pytest.mark.parametrize("name", ["events", "run_events", "entries", "adopted"])
def test_no_number_of_a_head_can_be_changed(name: str) -> None:
    """Each is signed."""
    head = made_log().head
    check_head(head, _TRUSTED)

    with pytest.raises(BrokenHeadError, match="signature is not its node's"):
        check_head(replace(head, **{name: 99}), _TRUSTED)


def test_a_head_of_another_node_is_not_trusted() -> None:
    """However rightly that node signed it."""
    with pytest.raises(BrokenHeadError, match=f"key {STRANGER.node_id} signed it, expected was {NODE.node_id}"):
        check_head(empty_head(STRANGER), _TRUSTED)
