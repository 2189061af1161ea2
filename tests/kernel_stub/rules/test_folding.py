"""Trimming and folding of text, as the kernel's language does them."""

from __future__ import annotations

import pytest

from kernel_stub.rules.folding import folded, trimmed


@pytest.mark.parametrize(
    ("said", "vote"),
    [
        (" Yes ", "YES"),
        ("straße", "STRASSE"),
        ("\u0149", "\u02bcN"),
        ("ﬁn", "FIN"),
        ("\u0390", "\u0399\u0308\u0301"),
        ("ijs", "IJS"),
        ("\u0131", "I"),
        ("ς", "Σ"),
        ("ǆ", "Ǆ"),
        ("\u0085\u3000ja\u2029", "JA"),
    ],
)
def test_a_vote_is_folded_with_the_full_mapping(said: str, vote: str) -> None:
    """One letter may become several; no locale has a say."""
    assert vote == folded(said)


@pytest.mark.parametrize("kept", ["\u200byes", "yes\u001f", "\ufeffyes", "\u001cyes", "\u180eyes"])
def test_only_unicode_white_space_is_trimmed(kept: str) -> None:
    """Zero-width marks and the separators U+001C to U+001F are no white space to the kernel."""
    assert kept == trimmed(kept)
