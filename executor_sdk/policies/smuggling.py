"""Media hidden in text: data URIs, and long base64 that begins like a picture, a sound or a film."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

#: A run of base64 this long, padding included, is looked into; half of it is more than any signature needs.
MIN_RUN: Final = 64

_MEDIA_URI: Final = ("data:image/", "data:video/", "data:audio/")
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_MAX_PADDING: Final = 2
_LETTERS_NEEDED: Final = MIN_RUN - _MAX_PADDING
_PREFIX_LETTERS: Final = 32

#: Every byte to "A" where it may be base64 and to a blank where not: a run is then one fast substring search.
_IS_LETTER: Final = bytes(ord("A") if chr(byte) in _ALPHABET else ord(" ") for byte in range(256))
_RUN_MARK: Final = b"A" * _LETTERS_NEEDED

#: Possessive and only at the first letter of a run, so that no text makes it go back.
_RUN: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]++={0,2}", re.ASCII)
_FROM_URL_ALPHABET: Final = str.maketrans("-_", "+/")

_SIGNATURES: Final = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"fLaC",
    b"ID3",
)
_RIFF_KINDS: Final = (b"WAVE", b"WEBP", b"AVI ")


def hides_media(text: str) -> bool:
    """Whether a kernel would take `text` for media in disguise; linear in the length of the text."""
    return _has_media_uri(text) or _has_media_run(text)


def _has_media_uri(text: str) -> bool:
    if ":" not in text:
        return False
    lowered = text.lower()
    return any(start in lowered for start in _MEDIA_URI)


def _has_media_run(text: str) -> bool:
    if len(text) < MIN_RUN or _RUN_MARK not in text.encode("utf-8", "replace").translate(_IS_LETTER):
        return False
    return any(len(run := match[0]) >= MIN_RUN and _is_media(_beginning(run)) for match in _RUN.finditer(text))


def _beginning(run: str) -> bytes:
    """The first 24 bytes. A run that cannot be decoded to its end is looked at all the same: one letter too many must
    not open the door."""
    return b64decode(run[:_PREFIX_LETTERS].translate(_FROM_URL_ALPHABET))


def _is_media(beginning: bytes) -> bool:
    if beginning.startswith(_SIGNATURES) or beginning[4:8] == b"ftyp":
        return True
    return beginning.startswith(b"RIFF") and beginning[8:12] in _RIFF_KINDS
