"""The trace context of a request is passed on where it is one; what a stranger wrote in its place is left out."""

from __future__ import annotations

import pytest

from executor_sdk.protocol.trace_context import trace_context

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_context_is_passed_on() -> None:
    """With the state of the tracing systems on the way, in its order."""
    headers = [
        (b"host", b"x"), (b"tracestate", b"rojo=1"), (b"traceparent", PARENT), (b"tracestate", b"congo=t61,a=2"),
    ]  # fmt: skip

    assert trace_context(headers) == {"traceparent": PARENT.decode(), "tracestate": "rojo=1,congo=t61,a=2"}
    assert trace_context([(b"traceparent", PARENT)]) == {"traceparent": PARENT.decode()}
    later = PARENT.replace(b"00-", b"cc-", 1) + b"-what.the.future.brings"
    assert trace_context([(b"traceparent", later)]) == {"traceparent": later.decode()}


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [PARENT, PARENT],
        [PARENT.upper()],
        [PARENT + b"-more"],
        [PARENT + b"\n"],
        [PARENT.replace(b"00-", b"ff-", 1)],
        [b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01"],
        [b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01"],
        [PARENT.replace(b"00-", b"cc-", 1) + b"x"],
        [b"\xff"],
    ],
)
def test_what_is_no_trace_context_is_left_out(parents: list[bytes]) -> None:
    """With its state, which means nothing alone."""
    assert trace_context([*((b"traceparent", parent) for parent in parents), (b"tracestate", b"a=1")]) == {}


@pytest.mark.parametrize("state", [b"a=" + b"x" * 511, b"a=\r\nx: y", b"a=\xff", b""])
def test_a_state_that_cannot_be_passed_on_is_left_out(state: bytes) -> None:
    """The parent goes on without it."""
    assert trace_context([(b"traceparent", PARENT), (b"tracestate", state)]) == {"traceparent": PARENT.decode()}
