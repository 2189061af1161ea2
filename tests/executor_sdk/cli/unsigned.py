"""A module with a handler that cannot work as it is: told when it is loaded."""

from __future__ import annotations

from executor_sdk import Executor

executor = Executor("tests", "unsigned")


@executor.execute
def two(first: int, second: int) -> dict[str, str]:
    """One parameter too many."""
    return {"answer": str(first + second)}
