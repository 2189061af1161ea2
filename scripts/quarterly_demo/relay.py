"""A relay on the wire between kernel and executor: it passes every byte on, and counts who hangs up on whom."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketAttribute, SocketStream, TaskStatus

_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Step:
    """What a call is for: an agent's step in one round of the run."""

    agent_id: str
    round: int


@dataclass
class Calls:
    """The calls of `POST /execute`, counted as they pass."""

    asked: Counter[Step] = field(default_factory=Counter)
    answered: Counter[Step] = field(default_factory=Counter)
    hung_up: Counter[Step] = field(default_factory=Counter)
    #: Those that wait for their answer now.
    waiting: Counter[Step] = field(default_factory=Counter)


class _Conversation:
    """One connection: which call waits on it. Requests are read from the bytes that pass; none is changed."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._buffer = bytearray()
        self._current: Step | None = None

    def sent(self, data: bytes) -> None:
        """The caller sent something; once a whole request is there, it waits."""
        self._buffer += data
        while (request := _first_request(self._buffer)) is not None:
            path, body = request
            if path == "/execute":
                self._current = _step_of(body)
                self._calls.asked[self._current] += 1
                self._calls.waiting[self._current] += 1

    def came_back(self) -> None:
        """The executor answers; nobody waits any more."""
        self._over(self._calls.answered)

    def closed(self) -> None:
        """The caller has gone; if it still waited, it hung up."""
        self._over(self._calls.hung_up)

    def _over(self, count: Counter[Step]) -> None:
        if self._current is not None:
            count[self._current] += 1
            self._calls.waiting[self._current] -= 1
            self._current = None


async def relay(target: str, calls: Calls, *, task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED) -> None:
    """Pass connections on to `target` (a URL); starts with the URL at which it listens."""
    host, _, port = target.removeprefix("http://").rpartition(":")

    async def pass_on(caller: SocketStream) -> None:
        talk = _Conversation(calls)
        async with caller, await anyio.connect_tcp(host, int(port)) as executor, anyio.create_task_group() as both:

            async def back() -> None:
                await _pump(executor, caller, lambda _: talk.came_back())
                both.cancel_scope.cancel()

            both.start_soon(back)
            await _pump(caller, executor, talk.sent)
            talk.closed()
            both.cancel_scope.cancel()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        here = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no database is near
        task_status.started(f"http://127.0.0.1:{here}")
        await listener.serve(pass_on)


async def _pump(source: ByteReceiveStream, sink: ByteSendStream, seen: Any) -> None:
    """Carry bytes until one side is gone."""
    try:
        while True:
            data = await source.receive()
            seen(data)
            await sink.send(data)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass


def _first_request(buffer: bytearray) -> tuple[str, bytes] | None:
    """Take the first whole request out of `buffer`: its path and body."""
    end = buffer.find(_HEAD_END)
    if end < 0:
        return None
    first, *headers = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    lengths = [
        value for name, _, value in (line.partition(":") for line in headers) if name.lower() == "content-length"
    ]
    whole = end + len(_HEAD_END) + int(lengths[0] if lengths else 0)
    if len(buffer) < whole:
        return None
    body = bytes(buffer[end + len(_HEAD_END) : whole])
    del buffer[:whole]
    return first.split(" ")[1], body


def _step_of(body: bytes) -> Step:
    inputs = json.loads(body)["inputs"]
    signal = inputs.get("_aggregation_signal") or {}
    return Step(inputs["agent_id"], 1 + int(signal.get("iteration") or 0))
