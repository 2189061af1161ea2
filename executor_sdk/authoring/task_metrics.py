"""What a task has used and measured: tokens, cost, seconds; calls of one name add up."""

from __future__ import annotations

import math
import re
import threading
from typing import Final

from executor_sdk.authoring.encoding import named
from executor_sdk.misuse import MisuseError
from executor_sdk.protocol.integers import MAX_INT
from executor_sdk.protocol.plain import Json

#: Names that one task may measure, and characters of a name and of a unit: 64 of them are 10 KiB of an answer at most.
MAX_NAMES: Final = 64
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,63}")
_UNIT: Final = re.compile(r"[!-~]{0,32}")

_WRITE: Final = "write task.metric('tokens', 812) or task.metric('cost', 0.02, 'USD')"


class TaskMetrics:
    """Sums by name, each with its unit; threads of a handler may add to them at once."""

    __slots__ = ("_lock", "_sums", "_units")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[str, int | float] = {}
        self._units: dict[str, str] = {}

    def add(self, name: str, value: float, unit: str) -> None:
        """Add `value` to the sum of `name`.

        Raises:
            MisuseError: the name, the value or the unit cannot be that.
        """
        _check(name, value, unit)
        with self._lock:
            known = self._units.get(name, unit)
            if unit and known and unit != known:
                raise MisuseError(
                    f"metric {name!r} is counted in {known}, and cannot be added up with {unit}; {_WRITE}"
                )
            if name not in self._sums and len(self._sums) >= MAX_NAMES:
                raise MisuseError(
                    f"a task has {MAX_NAMES} metrics at most, and {name!r} is one more; add up under one name"
                )
            # Plain numbers, also where the author's are of a class that has more to it.
            total = self._sums.get(name, 0) + (int(value) if isinstance(value, int) else float(value))
            if total > (MAX_INT if isinstance(total, int) else math.inf) or total == math.inf:
                raise MisuseError(f"metric {name!r} is larger than any answer can say; {_WRITE}")
            self._sums[name], self._units[name] = total, known or unit

    def plain(self) -> dict[str, Json]:
        """The sums, as an answer holds them."""
        with self._lock:
            return {name: {"value": total, "unit": self._units[name]} for name, total in self._sums.items()}

    def __str__(self) -> str:
        return ", ".join(f"{name} {one['value']:g} {one['unit']}".rstrip() for name, one in self.plain().items())


def _check(name: object, value: object, unit: object) -> None:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise MisuseError(
            f"a metric's name is up to 64 letters, digits, `_`, `.`, `/` and `-`, and begins with a letter, not "
            f"{repr(name) if isinstance(name, str) else named(name)!s:.80}; {_WRITE}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MisuseError(f"metric {name!r} is a number, not {named(value)}; {_WRITE}")
    if not (0 <= value < math.inf):
        raise MisuseError(
            f"metric {name!r} adds up what was used, so it is 0 or more, and finite, not {value}; {_WRITE}"
        )
    if not (isinstance(unit, str) and _UNIT.fullmatch(unit)):
        raise MisuseError(f"the unit of metric {name!r} is up to 32 ASCII characters without spaces; {_WRITE}")
