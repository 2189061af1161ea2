"""What may be registered as an executor, and how it is shown."""

from __future__ import annotations

import pytest

from kernel_stub.fleet.entries import InvalidEntryError, line, shown, valid_entry
from kernel_stub.rules.records import ExecutorEntry


def test_an_entry_is_shown_in_the_documents_key_order_with_nulls() -> None:
    """The list of the documents is equal byte for byte, so the order of the keys counts."""
    entry = valid_entry(ExecutorEntry("local-agent", "http://127.0.0.1:8080"))

    assert list(shown(entry).items()) == [
        ("name", "local-agent"),
        ("base_url", "http://127.0.0.1:8080"),
        ("agent_event_callback_base_url", None),
        ("kind", "local"),
        ("target_node_id", None),
        ("scope_hint", None),
        ("commit_plane_endpoint", None),
        ("commit_plane_token_file", None),
    ]


def test_credentials_are_hidden_wherever_an_entry_is_shown() -> None:
    """Neither the list over HTTP nor the command line's tells a password."""
    entry = valid_entry(
        ExecutorEntry(
            "with-user",
            "http://kernel:secret@127.0.0.1:8791/",
            agent_event_callback_base_url="http://u:secret@127.0.0.1:1",
            commit_plane_endpoint="https://secret@127.0.0.1:2/x",
        )
    )

    assert entry.base_url == "http://kernel:secret@127.0.0.1:8791/"
    assert shown(entry)["base_url"] == "http://***@127.0.0.1:8791/"
    assert "secret" not in f"{shown(entry)} {line(entry)}"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (valid_entry(ExecutorEntry("demo", "http://127.0.0.1:8787")), "demo http://127.0.0.1:8787 [local]"),
        (
            valid_entry(
                ExecutorEntry(
                    "far", "http://127.0.0.1:8787", remote=True, target_node_id="node-abc", scope_hint="lan:cluster-a"
                )
            ),
            "far http://127.0.0.1:8787 [remote target=node-abc scope=lan:cluster-a]",
        ),
    ],
)
def test_a_line_is_the_kernels(entry: object, expected: str) -> None:
    """The command line lists an entry as the recorded kernel does."""
    assert expected == line(entry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "base_url", "sentence"),
    [
        ("", "http://127.0.0.1:1", "name is required"),
        ("  ", "http://127.0.0.1:1", "name is required"),
        ("a\nb", "http://127.0.0.1:1", "name must not contain control characters"),
        ("a\u2028b", "http://127.0.0.1:1", "name must not contain control characters"),
        ("x" * 3_000, "http://127.0.0.1:1", "name is longer than 2048 characters"),
        ("x", "", "base_url is required"),
        ("x", "ftp://nowhere", "base_url must be an http or https URL"),
        ("x", "127.0.0.1:8080", "base_url must be an http or https URL"),
        ("x", "http://", "base_url must be an http or https URL"),
        ("x", "http://[::1", "base_url must be an http or https URL"),
        ("x", "http://127.0.0.1:99999", "base_url must be an http or https URL"),
        ("x", "http://127.0.0.1:port", "base_url must be an http or https URL"),
        ("x", "http://a b/", "base_url must be an http or https URL"),
        ("x", "http://a\x00b/", "base_url must not contain control characters"),
        ("x", "http://a/?token=1", "base_url must not have a query or a fragment; paths are appended to it"),
        ("x", "http://***@a/", "base_url holds hidden credentials, as a list shows them; give the real ones"),
    ],
)
def test_an_unusable_entry_is_refused_with_a_sentence(name: str, base_url: str, sentence: str) -> None:
    """The sentence begins with the field, and the status is 422."""
    with pytest.raises(InvalidEntryError) as refusal:
        valid_entry(ExecutorEntry(name, base_url))

    assert sentence == refusal.value.sentence
    assert refusal.value.status_code == 422


def test_a_bad_address_with_a_password_is_refused_without_repeating_it() -> None:
    """An error message is shown and logged; a password must not be in it."""
    with pytest.raises(InvalidEntryError) as refusal:
        valid_entry(ExecutorEntry("x", "http://kernel:secret@127.0.0.1:99999"))

    assert "secret" not in f"{refusal.value.sentence}{refusal.value.details}{refusal.value.__cause__}"


def test_a_remote_executor_needs_its_node() -> None:
    """The documents require `target_node_id` when `remote` is true; a blank one counts as absent."""
    with pytest.raises(InvalidEntryError, match="target_node_id is required when remote is true"):
        valid_entry(ExecutorEntry("x", "http://127.0.0.1:1", remote=True, target_node_id=" "))
