"""Ids that a run specification makes, and how many: which are refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from executor_sdk.protocol.plain import Json
from kernel_stub.rules.spec import RunSpec

#: Characters of an id: it becomes part of task ids, of addresses, and of every event.
MAX_ID_CHARACTERS: Final = 200

#: Agents of one run: with every step a few kilobytes, what a run takes of memory and of the store's time stays small.
MAX_AGENTS: Final = 10_000


def too_many_agents(body: Mapping[str, Json]) -> str | None:
    """What is wrong with the number of agents in a specification that was not read yet."""
    agents = body.get("agents")
    if isinstance(agents, list) and len(agents) > MAX_AGENTS:
        return f"are {len(agents)}; one run has at most {MAX_AGENTS}: submit several runs"
    return None


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
