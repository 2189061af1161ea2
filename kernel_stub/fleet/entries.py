"""Entries of the executor registry: what makes one valid, and how one is shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from executor_sdk.client.base_url import masked
from executor_sdk.protocol.plain import Json
from kernel_stub.errors import KernelError
from kernel_stub.rules.records import ExecutorEntry

#: Characters of a name, an address or a hint; no real one comes near.
MAX_CHARACTERS: Final = 2_048

_HIDDEN: Final = "***"


class InvalidEntryError(KernelError):
    """This cannot be registered as an executor."""

    status_code = 422
    code = "INVALID_EXECUTOR"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}", details=[{"path": f"$.{field}", "message": rule}])


def valid_entry(given: ExecutorEntry) -> ExecutorEntry:
    """The entry as it is kept; blank optional values count as absent.

    Raises:
        InvalidEntryError: a value breaks a rule; the message begins with the field's name.
    """
    name, base_url = _text("name", given.name), _http_url("base_url", given.base_url)
    optional = {field: _optional(field, getattr(given, field), read) for field, read in _OPTIONAL.items()}
    entry = ExecutorEntry(name, base_url, given.remote, **optional)
    if entry.remote and entry.target_node_id is None:
        raise InvalidEntryError("target_node_id", "is required when remote is true")
    return entry


def shown(entry: ExecutorEntry) -> dict[str, Json]:
    """The entry as the API lists it: the documents' key order, absent values as null, credentials hidden."""
    return {
        "name": entry.name,
        "base_url": masked(entry.base_url),
        "agent_event_callback_base_url": _masked_or_none(entry.agent_event_callback_base_url),
        "kind": kind(entry),
        "target_node_id": entry.target_node_id,
        "scope_hint": entry.scope_hint,
        "commit_plane_endpoint": _masked_or_none(entry.commit_plane_endpoint),
        "commit_plane_token_file": entry.commit_plane_token_file,
    }


def line(entry: ExecutorEntry) -> str:
    """The entry as the command line lists it: `far http://127.0.0.1:8787 [remote target=node-abc scope=lan:a]`."""
    facts = [kind(entry)]
    if entry.target_node_id is not None:
        facts.append(f"target={entry.target_node_id}")
    if entry.scope_hint is not None:
        facts.append(f"scope={entry.scope_hint}")
    return f"{entry.name} {masked(entry.base_url)} [{' '.join(facts)}]"


def kind(entry: ExecutorEntry) -> str:
    """`local` or `remote`."""
    return "remote" if entry.remote else "local"


def _masked_or_none(url: str | None) -> str | None:
    return None if url is None else masked(url)


def _text(field: str, value: str) -> str:
    if not value.strip():
        raise InvalidEntryError(field, "is required")
    if len(value) > MAX_CHARACTERS:
        raise InvalidEntryError(field, f"is longer than {MAX_CHARACTERS} characters")
    # A line feed in a name would forge lines of the list, and of every log that names the executor.
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in value):
        raise InvalidEntryError(field, "must not contain control characters")
    return value


def _optional(field: str, value: str | None, read: Callable[[str, str], str]) -> str | None:
    return None if value is None or not value.strip() else read(field, value)


def _http_url(field: str, value: str) -> str:
    url = _text(field, value)
    parts = _parsed(field, url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(character.isspace() for character in url):
        raise InvalidEntryError(field, "must be an http or https URL")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise InvalidEntryError(field, "must not have a query or a fragment; paths are appended to it")
    if "@" in parts.path or "\\" in url:
        raise InvalidEntryError(field, "must have the special characters of its credentials percent-encoded")
    if parts.username == _HIDDEN:
        raise InvalidEntryError(field, "holds hidden credentials, as a list shows them; give the real ones")
    return url


def _parsed(field: str, url: str) -> SplitResult:
    """Split `url`; reading the port checks it, and the error must not repeat an address that holds a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidEntryError(field, "must be an http or https URL") from None
    return parts


#: How each value is read that an entry may have or not.
_OPTIONAL: Final[Mapping[str, Callable[[str, str], str]]] = {
    "target_node_id": _text,
    "scope_hint": _text,
    "agent_event_callback_base_url": _http_url,
    "commit_plane_endpoint": _http_url,
    "commit_plane_token_file": _text,
}
