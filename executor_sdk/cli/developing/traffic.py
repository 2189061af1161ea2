"""Traffic: one event for each request that reaches the executor, told when its answer is out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from executor_sdk.protocol.plain import Json

#: Bytes of a request in which its names are looked for, and of an answer in which its sentence is.
_REQUEST_BYTES: Final = 1024 * 1024
_ANSWER_BYTES: Final = 64 * 1024

#: Characters of a name or a sentence that an event holds.
_NAME: Final = 80
_SENTENCE: Final = 600

TellEvent: TypeAlias = Callable[[dict[str, Json]], None]


class Traffic:
    """An application whose requests are told. It stands between server and application in `executor dev` only."""

    def __init__(self, app: ASGIApp, tell: TellEvent) -> None:
        self._app = app
        self._tell = tell
        #: What the application said when it could not start.
        self.start_failure: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and look at it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._hearing_failures(send))
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            call = _Call(scope, receive, send)
            try:
                await self._app(scope, call, call.send)
            finally:
                self._tell(call.told())

    def _hearing_failures(self, send: Send) -> Send:
        async def hear(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.start_failure = str(message.get("message", ""))
            await send(message)

        return hear


class _Candidate(msgspec.Struct):
    execution_id: str = ""


class _Names(msgspec.Struct):
    """What a request calls itself; of a `/verify`, the execution whose candidate it is."""

    execution_id: str = ""
    task_type: str = ""
    candidate: _Candidate = msgspec.field(default_factory=_Candidate)


class _Call:
    """One request. It is what the application receives from, and knows all else that the server's own receive knows."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began_s = time.perf_counter()
        self._asked = bytearray()
        self._answered = bytearray()
        self._status: int | None = None
        self._headers: Mapping[bytes, bytes] = {}

    def __getattr__(self, name: str) -> Any:
        # The executor asks the server's own object whether the caller is still connected.
        return getattr(self._receive, name)

    async def __call__(self) -> Message:
        message = await self._receive()
        if len(self._asked) < _REQUEST_BYTES:
            self._asked += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = dict(message["headers"])
        elif len(self._answered) < _ANSWER_BYTES:
            self._answered += message.get("body", b"")
        await self._send(message)

    def told(self) -> dict[str, Json]:
        """The event; a status of null where the caller hung up first."""
        names, answer = _names(self._asked), _object(self._answered)
        return {
            "event": "request",
            "method": self._scope["method"][:_NAME],
            "path": self._scope["path"][:_NAME],
            "task_type": names.task_type[:_NAME],
            "execution_id": (names.execution_id or names.candidate.execution_id)[:_NAME],
            "how": self._how() if self._scope["path"] in {"/execute", "/verify"} else "",
            "status": self._status,
            "ms": round((time.perf_counter() - self._began_s) * 1000, 1),
            "said": _said(self._status or 0, answer)[:_SENTENCE],
        }

    def _how(self) -> str:
        for name in ("joined", "replayed"):
            if f"executor-{name}".encode() in self._headers:
                return name
        return "new" if self._status is not None else ""


def _names(body: bytes | bytearray) -> _Names:
    try:
        return msgspec.json.decode(body, type=_Names)
    except (msgspec.MsgspecError, RecursionError):
        return _Names()


def _object(body: bytes | bytearray) -> Mapping[str, Json]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(status: int, answer: Mapping[str, Json]) -> str:
    """What an answer says beside its status: of an error its code and sentence, of a verdict that it did not pass."""
    error = answer.get("error")
    if status >= 400 and isinstance(error, dict):
        return f"{error.get('code')}: {error.get('message')}"
    if status >= 400:
        return str(answer.get("message", ""))
    if answer.get("verification_status") in {"failed", "inconclusive"}:
        message = f": {answer['message']}" if answer.get("message") else ""
        return f"{answer['verification_status']} {answer.get('reason_codes')}{message}"
    return ""
