"""Media hidden in text."""

from __future__ import annotations

import time
from base64 import b64encode, urlsafe_b64encode

import pytest

from executor_sdk.policies.smuggling import hides_media

_MEDIA = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "gif": b"GIF89a",
    "webm": b"\x1a\x45\xdf\xa3",
    "ogg": b"OggS",
    "flac": b"fLaC",
    "mp3": b"ID3\x04",
    "wave": b"RIFF\x00\x00\x00\x00WAVE",
    "webp": b"RIFF\x00\x00\x00\x00WEBP",
    "avi": b"RIFF\x00\x00\x00\x00AVI ",
    "mp4": b"\x00\x00\x00\x18ftypmp42",
}


@pytest.mark.parametrize("kind", _MEDIA)
def test_each_kind_is_found_in_either_alphabet_padded_or_not(kind: str) -> None:
    """Also in the midst of a text, and after another long run."""
    data = _MEDIA[kind] + bytes(range(200, 250)) + b"\xfb\xff" * 3
    for encoded in (b64encode(data).decode(), urlsafe_b64encode(data).decode()):
        for run in (encoded, encoded.rstrip("="), f"see: {encoded}.", f"é {'a' * 100} x={encoded}"):
            assert hides_media(run)


def test_a_run_that_was_made_undecodable_is_found_all_the_same() -> None:
    """One letter too many, or mixed alphabets, must not open the door."""
    encoded = b64encode(_MEDIA["png"] + b"\x00" * 60).decode().rstrip("=")

    assert hides_media(encoded + "A")
    assert hides_media(encoded + "-/" * 3)


@pytest.mark.parametrize("uri", ["data:image/png;base64,AA", "x DATA:Video/mp4,", "data:audio/ogg,"])
def test_media_uris_are_found_in_any_case(uri: str) -> None:
    """However short what they carry."""
    assert hides_media(uri)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data:text/plain,hello",
        "a database: images/of",
        b64encode(b"just words " * 30).decode(),
        "ab" * 60,
        "https://example.test/" + "a" * 200,
        b64encode(_MEDIA["png"] + b"\x00" * 30).decode(),
        b64encode(b"RIFF\x00\x00\x00\x00none" + b"\x00" * 60).decode(),
        " ".join([b64encode(_MEDIA["png"]).decode()] * 40),
    ],
    ids=range(9),
)
def test_harmless_text_passes(text: str) -> None:
    """Words, hashes, addresses, and runs shorter than 64."""
    assert not hides_media(text)


@pytest.mark.parametrize("text", ["A" * 65_536, ("A" * 61 + " ") * 1_057, ("A" * 64 + " ") * 1_008, "=" * 65_536])
def test_looking_is_linear(text: str) -> None:
    """The worst texts of the largest size take milliseconds."""
    start = time.perf_counter()
    assert not hides_media(text)
    assert time.perf_counter() - start < 1
