"""A secret is read when it is sent, and stands nowhere else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from executor_sdk import Secret, SecretError
from executor_sdk.client.secret import MAX_SECRET_BYTES
from executor_sdk.misuse import MisuseError

HIDDEN = "s3cr3t-value"


def test_a_secret_is_read_from_where_it_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each time, so that it may be changed; the line end of a file is none of it."""
    monkeypatch.setenv("CRM_TOKEN", HIDDEN)
    file = tmp_path / "crm"
    file.write_text(f"{HIDDEN}\n")

    assert Secret("env:CRM_TOKEN").resolve() == HIDDEN
    assert Secret("env:CRM_TOKEN", "Bearer {}").resolve() == f"Bearer {HIDDEN}"
    kept = Secret(f"file:{file}", "Token {}")
    assert kept.resolve() == f"Token {HIDDEN}"
    file.write_text("another")
    assert kept.resolve() == "Token another"


def test_its_text_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is written out; nothing of the value is kept in it."""
    monkeypatch.setenv("CRM_TOKEN", HIDDEN)
    secret = Secret("env:CRM_TOKEN", "Bearer {}")
    secret.resolve()

    assert [str(secret), repr(secret)] == ["Secret('env:CRM_TOKEN')"] * 2
    assert HIDDEN not in str(pickle.dumps(secret))
    assert secret.stand_in == "Bearer <env:CRM_TOKEN>"


def test_it_is_no_part_of_another_text() -> None:
    """A header would hold the reference, and a fake in a test would take that."""
    with pytest.raises(MisuseError, match="into a header alone, not into another text; write Secret"):
        f"Bearer {Secret('env:CRM_TOKEN')}"


@pytest.mark.parametrize("value", [None, "", "  ", f"{HIDDEN}\nx-more: y", f"{HIDDEN}ü", f"{HIDDEN}\x00"])
def test_a_secret_that_cannot_be_sent_is_told_without_its_value(
    value: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By its reference; the answer may be tried again, once somebody has put it there."""
    file = tmp_path / "crm"
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    if value is not None:
        file.write_text(value)
        if "\x00" not in value:
            monkeypatch.setenv("CRM_TOKEN", value)

    for reference in ("env:CRM_TOKEN", f"file:{file}"):
        with pytest.raises(SecretError, match=f"the secret {reference} ") as told:
            Secret(reference, "Bearer {}").resolve()
        assert HIDDEN not in str(told.value)
        assert told.value.__cause__ is None
        assert told.value.status_code == 503


def test_a_file_of_any_size_is_no_secret(tmp_path: Path) -> None:
    """It is not read whole."""
    file = tmp_path / "large"
    file.write_bytes(b"x" * (MAX_SECRET_BYTES + 1))

    with pytest.raises(SecretError, match="has more than 16384 bytes"):
        Secret(f"file:{file}").resolve()


@pytest.mark.parametrize(
    "given",
    [
        (HIDDEN,),
        ("env:",),
        ("env:A B",),
        ("file:relative",),
        (5,),
        ("env:A", "Bearer"),
        ("env:A", "{}{}"),
        ("env:A", 5),
        (),
    ],
)
def test_what_is_no_reference_is_told_where_it_is_written(given: tuple[Any, ...]) -> None:
    """Without quoting it: somebody may have written the secret itself."""
    with pytest.raises(MisuseError, match=r"write Secret\('env:CRM_TOKEN', 'Bearer \{\}'\)") as told:
        Secret(*given)
    assert HIDDEN not in str(told.value)
