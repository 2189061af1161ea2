"""The W3C trace context of a request: the header fields by which the calls that belong together are found again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

#: Version 00 to the letter; of later versions what is known of them: the same four parts, and more.
_PARENT: Final = re.compile(
    rb"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,64})?)"
)

#: Characters of a `tracestate` that the recommendation wants passed on; a longer one is left out.
_MAX_STATE: Final = 512
_STATE: Final = re.compile(rb"[ -~]+")


def trace_context(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """`traceparent` and `tracestate` of a request, to be sent along with what is asked on its behalf.

    Nothing where the request has none, or more than one, or one that is not what the recommendation says.
    """
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in headers:
        if name == b"traceparent":
            parents.append(value)
        elif name == b"tracestate":
            states.append(value)
    if len(parents) != 1 or not _PARENT.fullmatch(parents[0]):
        return {}
    context = {"traceparent": parents[0].decode("ascii")}
    state = b",".join(states)
    if len(state) <= _MAX_STATE and _STATE.fullmatch(state):
        context["tracestate"] = state.decode("ascii")
    return context
