"""Ids that a run specification makes, and how many: which are refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final

from kernel_stub.rules.spec import RunSpec

#: Characters of an id: it becomes part of task ids, of addresses, and of every event.
MAX_ID_CHARACTERS: Final = 200


def id_breaches(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """What would make ids ambiguous or unprintable: a step's id is `RUN:AGENT`, and it must not name two steps."""
    ids = [("run_id", spec.run_id), *((f"agents[{n}].agent_id", agent.agent_id) for n, agent in enumerate(spec.agents))]
    for path, text in ids:
        if len(text) > MAX_ID_CHARACTERS:
            yield path, f"is longer than {MAX_ID_CHARACTERS} characters"
        if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
            yield path, "must not contain control characters"
        if ":" in text and path != "run_id":
            yield path, "must not contain a colon: step ids are RUN:AGENT"
