"""References inside one document."""

from __future__ import annotations

import pytest

from executor_sdk.protocol.plain import Json, referenced

_DOCUMENT: Json = {
    "$defs": {"a": {"type": "string"}, "b/c": 1, "d~e": 2, "f g": 3, "": 4, "n": None},
    "list": [5, {"deep": 6}],
}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("#", _DOCUMENT),
        ("#/$defs/a", {"type": "string"}),
        ("#/$defs/b~1c", 1),
        ("#/$defs/d~0e", 2),
        ("#/$defs/f%20g", 3),
        ("#/$defs/", 4),
        ("#/list/0", 5),
        ("#/list/1/deep", 6),
        ("#/list/2", None),
        ("#/list/-1", None),
        ("#/list/x", None),
        ("#/list/²", None),
        (f"#/list/{'9' * 5_000}", None),
        ("#/$defs/none/further", None),
        ("#/$defs/a/type/further", None),
        ("#anchor", None),
        ("/$defs/a", None),
        ("", None),
        ("https://example.test/#/$defs/a", None),
    ],
)
def test_a_reference_names_a_part_of_its_own_document_or_nothing(reference: str, expected: Json) -> None:
    """Pointers with their escapes; anchors and other documents are not followed."""
    assert referenced(_DOCUMENT, reference) == expected
