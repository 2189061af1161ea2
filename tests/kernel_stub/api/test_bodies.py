"""Reading a request's body within its bounds."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message

from kernel_stub.api.bodies import SlowBodyError, read_body
from kernel_stub.api.executors import Naming
from kernel_stub.errors import UnreadableRequestError

pytestmark = pytest.mark.anyio


async def test_a_body_that_does_not_come_is_given_up() -> None:
    """A caller that holds its connection open and sends nothing is told so, and holds nothing of ours."""

    async def silent() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(5), pytest.raises(SlowBodyError):
        await read_body(_request(silent), max_bytes=100, timeout_s=0.01)


async def test_a_caller_that_hangs_up_half_way_changes_nothing() -> None:
    """Half a body is never parsed, even if it would be JSON."""
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def hanging_up() -> Message:
        return next(messages)

    with pytest.raises(UnreadableRequestError, match="the caller hung up"):
        await read_body(_request(hanging_up), max_bytes=100)


@pytest.mark.parametrize(
    ("body", "place"), [(b'{"a": 1}', "line 1 column 8"), (b'{\n  "a": 1\n}\n', "line 3 column 1")]
)
async def test_a_missing_field_is_told_with_the_place_where_it_was_missed(body: bytes, place: str) -> None:
    """The kernel's reader stands behind the closing brace; so does ours."""

    async def whole() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    read = await read_body(_request(whole), max_bytes=100)

    with pytest.raises(Exception, match=f"missing field `name` at {place}$"):
        read.view(Naming)


def _request(receive: object) -> Request:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", b"application/json")]}
    return Request(scope, receive)  # type: ignore[arg-type]
