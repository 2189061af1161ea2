"""Canonical bytes against what the kernel computes."""

from __future__ import annotations

from executor_sdk.protocol.canonical import declared_bytes, sorted_bytes, sorted_copy
from executor_sdk.protocol.digests import hex_digest
from executor_sdk.protocol.plain import NotJsonError, parse
from tests.executor_sdk.protocol.recordings import recorded

_VECTORS = [vector for vector in recorded("canonical_bytes.jsonl.gz") if vector["case"]["kind"] == "compact_sorted"]


def test_every_recorded_text_gets_the_kernels_bytes_but_the_literal_minus_zero() -> None:
    """165 texts: numbers at their edges, escapes, key orders; what the kernel cannot read, we cannot read."""
    others = []
    for vector in _VECTORS:
        text, expected = vector["case"]["json"], vector["expected"]
        if _read(text) != (expected.get("bytes"), expected.get("sha256")):
            others.append(text)

    assert (len(_VECTORS), sum("error" in vector["expected"] for vector in _VECTORS)) == (165, 13)
    # orjson reads the literal -0 as the integer 0, alone or inside; -0.0 agrees.
    assert others == ["-0", '{"v":[-0,{"k":-0}]}']


def test_generic_parts_are_sorted_and_records_keep_their_order() -> None:
    """Two forms, each by its name; a sorted copy makes the one a part of the other."""
    value = {"b": {"z": 1, "a": 2}, "a": "é"}

    assert sorted_bytes(value) == '{"a":"é","b":{"a":2,"z":1}}'.encode()
    assert declared_bytes(value) == '{"b":{"z":1,"a":2},"a":"é"}'.encode()
    assert declared_bytes({"b": sorted_copy(value["b"])}) == b'{"b":{"a":2,"z":1}}'


def _read(text: str) -> tuple[str | None, str | None]:
    try:
        ours = sorted_bytes(parse(text.encode()))
    except NotJsonError:
        return None, None
    return ours.decode(), hex_digest(ours)
