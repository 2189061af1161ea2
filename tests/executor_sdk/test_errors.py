"""The error tree: what it draws, what each error tells a caller, and what its status makes of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from executor_sdk import errors
from executor_sdk.errors import ExecutorError, FetchError, Refuse, TryLater, UnfetchableError
from executor_sdk.executions.ledger import LedgerError
from executor_sdk.executions.outcomes import failed
from executor_sdk.transports.asgi.limits import BodyStalledError


def subclasses(kind: type[ExecutorError]) -> Iterator[type[ExecutorError]]:
    """All below `kind` that the kit itself defines."""
    for one in kind.__subclasses__():
        if one.__module__.startswith("executor_sdk."):
            yield one
            yield from subclasses(one)


def test_the_tree_draws_every_error() -> None:
    """Those that live beside what raises them among them."""
    assert {LedgerError, BodyStalledError} <= set(subclasses(ExecutorError))
    assert [kind.__name__ for kind in subclasses(ExecutorError) if kind.__name__ not in str(errors.__doc__)] == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TryLater(), "This task cannot be done now; ask again."),
        (Refuse("NO", ""), "This task is refused; never ask this again."),
    ],
)
def test_what_an_author_leaves_unsaid_is_said_to_the_caller(error: ExecutorError, message: str) -> None:
    """The default speaks to whoever asked, not to authors."""
    assert error.body()["error"]["message"] == message


@pytest.mark.parametrize("after_s", [None, math.inf, math.nan])
def test_a_time_that_no_header_can_say_is_left_to_the_kit(after_s: float | None) -> None:
    """An answer of 503 it stays."""
    outcome = failed(TryLater("busy", after_s=after_s))

    assert (outcome.status, outcome.headers) == (503, ((b"retry-after", b"1"),))


def test_what_can_never_be_fetched_is_a_fetch_error_that_is_final() -> None:
    """So that whoever catches the one catches the other."""
    error = UnfetchableError("'x' is no URI")

    assert isinstance(error, FetchError)
    assert (error.status_code, error.retryable, int(error.reason)) == (422, False, 200)
