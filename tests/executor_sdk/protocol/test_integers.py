"""Integers beyond 64 bits are found in a text, wherever they stand, and nothing else is."""

from __future__ import annotations

import pytest

from executor_sdk.protocol.integers import huge_integer, may_have_huge_integers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"18446744073709551616", ("", 20)),
        (b'{"n":-9223372036854775809}', (".n", 20)),
        (b'{"a":[1,{"b":[18446744073709551615,100000000000000000000]}]}', (".a[1].b[1]", 21)),
        (b"[" + b"9" * 5_000 + b"]", ("[0]", 5_000)),
        # The first is the one nearest to the top, where an author looks first.
        (b'{"a":[99999999999999999999],"b":999999999999999999999}', (".b", 21)),
    ],
)
def test_an_integer_beyond_64_bits_is_found(text: bytes, found: tuple[str, int]) -> None:
    """With its path and the number of its digits; Python alone would not read 5,000 of them."""
    assert huge_integer(text) == found


@pytest.mark.parametrize(
    "text",
    [
        b"18446744073709551615",
        b"-9223372036854775808",
        b'{"18446744073709551616":"18446744073709551616"}',
        b"[0.18446744073709551616,18446744073709551616.0,18446744073709551616e3]",
    ],
)
def test_other_long_numbers_pass(text: bytes) -> None:
    """Keys, texts and floats, however many digits they have."""
    assert may_have_huge_integers(text)
    assert huge_integer(text) is None


def test_a_text_without_a_long_run_of_digits_is_not_read_at_all() -> None:
    """So that the path of a request does not become longer: what is no JSON passes too."""
    assert huge_integer(b"{1234567890 1234567890") is None
