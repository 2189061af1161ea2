"""How the kernel trims and folds text, so that equal votes are equal strings."""

from __future__ import annotations

from typing import Final

#: Unicode White_Space, what Rust's `trim` removes; Python's own `strip()` takes U+001C to U+001F too.
WHITE_SPACE: Final = "".join(
    map(
        chr,
        [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000],
    )
)


def trimmed(text: str) -> str:
    """`text` without white space at its ends."""
    return text.strip(WHITE_SPACE)


def folded(text: str) -> str:
    """`text` as a vote: trimmed, then upper-cased with the full mapping (`ß` becomes `SS`)."""
    return trimmed(text).upper()
