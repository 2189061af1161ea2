"""A fake of an OpenAI-compatible endpoint on loopback: it streams what a test says, and knows who hung up."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio.lowlevel
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from executor_sdk.testing.server import serve


class FakeEndpoint:
    """Answers `POST /chat/completions` as `first` says, one after the other, and then always with `text`."""

    def __init__(self, text: str, *first: Response, never_ends: bool = False) -> None:
        self.text = text
        self.never_ends = never_ends
        self.first = list(first)
        self.requests: list[dict[str, Any]] = []
        self.hung_up = threading.Event()

    @contextmanager
    def serving(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Stand where clients that are made now look for OpenAI."""
        with serve(Starlette(routes=[Route("/chat/completions", self._complete, methods=["POST"])])) as served:
            monkeypatch.setenv("OPENAI_BASE_URL", served.url)
            monkeypatch.setenv("OPENAI_API_KEY", "made-up")
            yield

    async def _complete(self, request: Request) -> Response:
        self.requests.append(await request.json())
        return self.first.pop(0) if self.first else written(self.text, then=self._go_on)

    async def _go_on(self) -> AsyncIterator[bytes]:
        try:
            while self.never_ends:
                yield _chunk({"content": " "})
                await anyio.lowlevel.checkpoint()
        except BaseException:
            self.hung_up.set()
            raise


def written(
    text: str, *, finish_reason: str = "stop", then: Callable[[], AsyncIterator[bytes]] | None = None
) -> Response:
    """A stream of `text` in pieces of ten characters."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 10):
            yield _chunk({"content": text[start : start + 10]})
        if then is not None:
            async for chunk in then():
                yield chunk
        yield _chunk({}, finish_reason)
        yield b"data: [DONE]\n\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


def error(status: int, **headers: str) -> Response:
    """An answer that tells of an error."""
    return JSONResponse({"error": {"message": "no", "type": "t"}}, status, headers=headers)


def _chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish_reason}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "fake", "choices": [choice]}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
