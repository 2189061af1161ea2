"""The recorded log, and the throw-away key that signed it (the WattSwarm kernel, wattetheria/wattswarm at fafc797)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from kernel_stub.log.chain import Entry, TaskRow
from kernel_stub.log.identity import Identity, Trusted
from kernel_stub.log.replay import Replay
from kernel_stub.log.walk import Walk

_DATA: Final = Path(__file__).parents[2] / "data" / "signed_events.jsonl"

LINES: Final[list[bytes]] = _DATA.read_bytes().splitlines()
EVENTS: Final[list[dict[str, Any]]] = [json.loads(line) for line in LINES]
IDENTITY: Final = Identity(bytes.fromhex("29b9dd8398fc8d11ee7e916c2345e0b773b3108a0894c8af94bbeded1c7b6fe3"))

#: The key that the recording was signed with.
TRUSTED: Final = frozenset({IDENTITY.node_id})


def replayed(lines: Iterable[bytes], *, trusted: Trusted = TRUSTED) -> Replay:
    """These lines verified and replayed, as an exported log without its chain."""
    walk, replay = Walk(trusted), Replay()
    for n, line in enumerate(lines, 1):
        replay.take(n, walk.take(Entry(n, "event", n, TaskRow(n, line))))
    walk.finish()
    return replay


def verified_lines(lines: Iterable[bytes], *, trusted: Trusted = TRUSTED) -> int:
    """These lines verified alone; how many they were."""
    walk, count = Walk(trusted), 0
    for count, line in enumerate(lines, 1):
        walk.take(Entry(count, "event", count, TaskRow(count, line)))
    return count
