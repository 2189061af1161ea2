"""The way in from bytes, with its bounds."""

from __future__ import annotations

import gc

import orjson
import pytest

from executor_sdk.protocol.plain import NotJsonError, depth, is_deeper, parse


def test_integers_beyond_64_bits_become_floats_as_in_the_kernel() -> None:
    """2^64 - 1 is still an integer, 2^64 no more."""
    assert parse(b"[18446744073709551615,18446744073709551616]") == [2**64 - 1, 1.8446744073709552e19]


@pytest.mark.parametrize("body", [b"", b"{", b"{a:1}", b"NaN", b"\xff", b'"\\ud800"', b"[" * 2_000 + b"]" * 2_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Broken text, other encodings, and nesting that no parser should follow."""
    with pytest.raises(NotJsonError):
        parse(body)


def test_depth_is_bounded_and_brackets_inside_texts_do_not_count() -> None:
    """64 levels pass, 65 do not; a text of brackets is one level."""
    assert depth(parse(b"[" * 64 + b"]" * 64)) == 64
    assert parse(b'["' + b"[" * 500 + b'"]') == ["[" * 500]
    with pytest.raises(NotJsonError, match="deeper than 64"):
        parse(b"[" * 65 + b"]" * 65)


def test_a_large_body_sets_off_no_collections_while_it_is_read() -> None:
    """A million arrays would: each of them would be looked at again and again, with the loop standing still."""
    body = b"[" + b"[]," * 200_000 + b"[]]"
    collections: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        collections.append(phase)

    gc.callbacks.append(note)
    try:
        value = parse(body, max_depth=len(body))
    finally:
        gc.callbacks.remove(note)

    assert (len(value), gc.isenabled()) == (200_001, True)
    # One is due once the reading is over.
    assert collections in ([], ["start", "stop"])


def test_a_large_body_that_is_no_json_leaves_collections_on() -> None:
    """Whatever comes of the reading."""
    with pytest.raises(NotJsonError):
        parse(b"[" * 100_000)

    assert gc.isenabled()


@pytest.mark.parametrize(
    "body",
    [
        b"1",
        b"[]",
        b'{"a": [{}, [[]]], "b": {}}',
        b'["[[[[[[", {"]]]": "}{\\"[[[["}]',
        b'["\\\\", ["\\\\\\"[[[["], "\\n[\\u005b[", [[]]]',
        '["ä[", {"漢[": ["é"]}]'.encode(),
        b"[" * 70 + b"1" + b"]" * 70,
    ],
)
def test_the_depth_of_a_text_is_that_of_its_value(body: bytes) -> None:
    """Brackets in strings, escaped quotes and escaped escapes do not count."""
    levels = depth(orjson.loads(body))

    assert [is_deeper(body, at) for at in (levels - 1, levels, levels + 1)] == [True, False, False]
