"""The options that authors may write are those of the settings, name by name and type by type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

from executor_sdk import Settings
from executor_sdk.options.written import Options

#: What may be written for what is kept, where that is more than the same.
WRITTEN: dict[Any, Any] = {
    Path | None: str | Path | None,
    tuple[str, ...]: str | Sequence[str],
    tuple[Path, ...]: str | Path | Sequence[str | Path],
}


def test_authors_write_the_options_that_the_settings_keep() -> None:
    """An option that is added to one of the two only is found here."""
    kept = get_type_hints(Settings)

    assert get_type_hints(Options) == {name: WRITTEN.get(kept[name], kept[name]) for name in Settings.__struct_fields__}
