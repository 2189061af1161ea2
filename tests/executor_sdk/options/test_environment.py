"""Variables that are called like ours and mean nothing are told, with a guess."""

from __future__ import annotations

import pytest

from executor_sdk.options.environment import APP_VARIABLE, unread, variable_of
from executor_sdk.settings import OPTIONS


def test_variables_that_nobody_reads_are_told_in_one_sentence() -> None:
    """A guess stands beside those that were probably mistyped."""
    environment = {"EXECUTOR_TIMOUT_S": "5", "EXECUTOR_XYZZY": "", "EXECUTOR_THREADS": "2", "PATH": "/bin"}

    assert unread(environment, OPTIONS) == (
        "no option of an executor is set by EXECUTOR_TIMOUT_S (did you mean EXECUTOR_TIMEOUT_S?), EXECUTOR_XYZZY"
    )


@pytest.mark.parametrize("name", [APP_VARIABLE, "PATH", "MY_EXECUTOR_X", *map(variable_of, OPTIONS)])
def test_what_is_read_or_of_others_is_not_told(name: str) -> None:
    """Among them the variable that `executor serve` hands to its processes."""
    assert unread({name: "1"}, OPTIONS) is None
