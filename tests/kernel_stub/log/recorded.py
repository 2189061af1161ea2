"""The recorded log, and the throw-away key that signed it (the WattSwarm kernel, wattetheria/wattswarm at fafc797)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from kernel_stub.log.identity import Identity

_DATA: Final = Path(__file__).parents[2] / "data" / "signed_events.jsonl"

LINES: Final[list[bytes]] = _DATA.read_bytes().splitlines()
EVENTS: Final[list[dict[str, Any]]] = [json.loads(line) for line in LINES]
IDENTITY: Final = Identity(bytes.fromhex("29b9dd8398fc8d11ee7e916c2345e0b773b3108a0894c8af94bbeded1c7b6fe3"))
