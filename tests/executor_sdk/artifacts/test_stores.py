"""Both artifact stores keep bytes under their digest and check them when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.artifacts.memory import MemoryArtifacts
from executor_sdk.artifacts.store import ArtifactStore, artifact_uri, digest_in, is_digest
from executor_sdk.errors import FetchError
from executor_sdk.protocol.digests import content_digest

DIGEST = content_digest(b"rows")


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """Each of the two stores."""
    return MemoryArtifacts() if request.param == "memory" else FolderArtifacts(tmp_path / "artifacts")


def test_what_was_written_is_read(store: ArtifactStore) -> None:
    """Under its digest, as often as one likes."""
    assert not store.has(DIGEST)
    assert store.write(b"rows") == store.write(b"rows") == DIGEST
    assert store.has(DIGEST)
    assert store.read(DIGEST) == b"rows"
    assert store.read(store.write(b"")) == b""


@pytest.mark.parametrize("digest", [DIGEST, "", "sha256:", "../../etc/passwd", "sha256:../" + "a" * 61, DIGEST + "/x"])
def test_what_is_not_there_is_unreachable(store: ArtifactStore, digest: str) -> None:
    """Also what is no digest at all."""
    assert not store.has(digest)
    with pytest.raises(FetchError, match="no artifact has the digest") as told:
        store.read(digest)

    assert told.value.reason == 200


def test_forged_bytes_in_memory_are_found() -> None:
    """203: another digest."""
    store = MemoryArtifacts(kept={DIGEST: b"forged"})

    with pytest.raises(FetchError, match="have another digest") as told:
        store.read(DIGEST)

    assert told.value.reason == 203


def test_a_broken_file_is_found_and_repaired_by_writing_again(tmp_path: Path) -> None:
    """A disk that lies must not become evidence."""
    store = FolderArtifacts(tmp_path)
    store.write(b"rows")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(b"forged")

    with pytest.raises(FetchError, match="have another digest"):
        store.read(DIGEST)
    store.write(b"rows")

    assert store.read(DIGEST) == b"rows"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [path]


def test_memory_forgets_the_least_recently_used_first() -> None:
    """The newest stays, however large."""
    kept: dict[str, bytes] = {}
    store = MemoryArtifacts(max_bytes=8, kept=kept)
    first, _ = store.write(b"aaaa"), store.write(b"bbbb")
    store.read(first)
    third = store.write(b"cccc")

    assert list(kept) == [first, third]
    large = store.write(b"d" * 100)
    assert list(kept) == [large]


@pytest.mark.parametrize(
    ("uri", "digest"),
    [
        (artifact_uri(DIGEST), DIGEST),
        (f"artifact://reference/{DIGEST}", DIGEST),
        (f"https://host/{DIGEST}", None),
        ("artifact://reference/../x", None),
        ("artifact://", None),
    ],
)
def test_the_digest_in_an_artifact_uri(uri: str, digest: str | None) -> None:
    """Whoever made the URI."""
    assert digest_in(uri) == digest
    assert is_digest(DIGEST)
    assert not is_digest(DIGEST.upper())
