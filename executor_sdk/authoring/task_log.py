"""The log of one task: a logger whose every record says which task it speaks of."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

#: The one logger of all tasks: its level and its handlers are set by this name.
LOGGER: Final = "executor_sdk.task"

#: What the sender of a task may have put into an id, and a line of a log must not hold; `%` would be a placeholder.
_UNPRINTED: Final = re.compile(r"[^\w.:/@+-]", re.ASCII)

#: Characters of an execution id that a message shows; the record has all of them.
_MAX_SHOWN: Final = 64


class TaskLog(logging.LoggerAdapter[logging.Logger]):
    """Writes to the logger `executor_sdk.task`; each message begins with the execution id, each record has `facts`."""

    def __init__(self, facts: Mapping[str, object], *, execution_id: str) -> None:
        super().__init__(logging.getLogger(LOGGER), facts)
        self._shown = f"[{_UNPRINTED.sub('?', execution_id[:_MAX_SHOWN])}]"

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the id before the message, and the facts beside what the author gives as `extra`."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return f"{self._shown} {msg}", kwargs
