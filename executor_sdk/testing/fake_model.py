"""A stand-in for a language model: its answers fit any schema, or are those of a test; also an OpenAI endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self, TypeVar, overload

from pydantic import BaseModel, TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from executor_sdk.protocol.canonical import declared_bytes
from executor_sdk.protocol.plain import Json, NotJsonError, parse
from executor_sdk.testing.drawn import UndrawableError, drawn

M = TypeVar("M", bound=BaseModel)

#: What a fake model says where a schema leaves it open.
_TEXTS: Final = (
    "a fake answer",
    "another fake answer",
    "a third fake answer",
    "a fake answer of more than a few words",
)

#: Characters of one part of a streamed answer.
_PART: Final = 16


class FakeModelError(RuntimeError):
    """A call that a test has made to fail."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        #: The HTTP status that an endpoint answers.
        self.status = status


@dataclass(frozen=True)
class ModelCall:
    """One call of a fake model."""

    #: All text that the model was given.
    prompt: str
    #: The body of the HTTP request; empty for a call of `answer`.
    request: dict[str, Json]


class FakeModel:
    """Answers every prompt with something valid, the same prompt always with the same, and never asks anybody.

        model = FakeModel()
        finding = model.answer("Which way did revenue go?", Finding)

    It is an ASGI application, too, that answers `/v1/chat/completions` plain and streamed, with `response_format` and
    tools. A client such as `AsyncOpenAI(base_url=f"{served.url}/v1", api_key="-")` reaches it within
    `with serve(model) as served:`, or with no socket, and so in a FakeTime, through
    `http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(model))`.
    """

    def __init__(self) -> None:
        #: All calls so far, failed ones among them.
        self.calls: list[ModelCall] = []
        self._next: deque[Json] = deque()
        self._told: dict[str, Json] = {}
        self._failing: dict[int, tuple[int, float | None]] = {}

    def answers(self, *answers: Json) -> Self:
        """Give these answers next, in this order: text as it stands, anything else as JSON."""
        self._next.extend(answers)
        return self

    def answers_to(self, part: str, answer: Json) -> Self:
        """Give this answer to each prompt that has `part` in it, once those of `answers` are used up."""
        self._told[part] = answer
        return self

    def fails(self, at: int, *, status: int = 503, after_s: float | None = None) -> Self:
        """Let the call number `at`, from 1, fail: with this HTTP status, and `Retry-After` where it is given.

        A client that asks again by itself makes one more call.
        """
        self._failing[at] = (status, after_s)
        return self

    @overload
    def answer(self, prompt: str, schema: type[M]) -> M: ...

    @overload
    def answer(self, prompt: str, schema: dict[str, Json]) -> Json: ...

    @overload
    def answer(self, prompt: str) -> str: ...

    def answer(self, prompt: str, schema: type[BaseModel] | dict[str, Json] | None = None) -> Any:
        """What the model says to `prompt`: text, or what fits a JSON Schema, or an instance of a pydantic model.

        Raises:
            FakeModelError: this call was made to fail.
            UndrawableError: the schema has a pattern, or the like, that chance does not meet.
            pydantic.ValidationError: the answer that the test has named is no such model.
        """
        self._called(prompt, {})
        if schema is None:
            return self._text(prompt, None)
        if isinstance(schema, dict):
            return self._found(prompt, schema)
        return schema.model_validate(self._found(prompt, TypeAdapter(schema).json_schema()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application."""
        await self._app(scope, receive, send)

    @cached_property
    def _app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/chat/completions", self._complete, methods=["POST"])])

    def _called(self, prompt: str, request: dict[str, Json]) -> None:
        self.calls.append(ModelCall(prompt, request))
        number = len(self.calls)
        if number in self._failing:
            raise FakeModelError(f"the test lets call {number} of this fake model fail", self._failing[number][0])

    def _found(self, prompt: str, schema: Json) -> Json:
        """What the test has told it to say, or else what the schema wants."""
        if self._next:
            return self._next.popleft()
        told = next((part for part in self._told if part in prompt), None)
        return drawn(schema, prompt, _TEXTS) if told is None else self._told[told]

    def _text(self, prompt: str, schema: Json) -> str:
        found = self._found(prompt, {"type": "string"} if schema is None else schema)
        return found if isinstance(found, str) else declared_bytes(found).decode()

    async def _complete(self, request: Request) -> Response:
        try:
            body = parse(await request.body())
            prompt = "\n".join(_texts(body["messages"]))
        except (NotJsonError, LookupError, TypeError, AttributeError):
            return _refused(
                400, "a request is a JSON object with `messages`, a list of objects with `role` and `content`"
            )
        try:
            self._called(prompt, body)
            message = self._message(prompt, body)
        except FakeModelError as error:
            return _refused(error.status, str(error), after_s=self._failing[len(self.calls)][1])
        except UndrawableError as error:
            return _refused(
                400, f"this fake model is at a loss: {error}, or tell it what to say: FakeModel().answers(...)"
            )
        told = _Told(len(self.calls), str(body.get("model", "fake")), prompt, message)
        if body.get("stream"):
            with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return StreamingResponse(told.streamed(with_usage), media_type="text/event-stream")
        return JSONResponse(told.whole())

    def _message(self, prompt: str, body: dict[str, Json]) -> dict[str, Json]:
        tool = _tool(body)
        if tool is None or self._next:
            return {"role": "assistant", "content": self._text(prompt, _schema(body))}
        arguments = declared_bytes(drawn(tool.get("parameters") or {"type": "object"}, prompt, _TEXTS)).decode()
        function = {"name": tool["name"], "arguments": arguments}
        call = {"id": f"call_fake_{len(self.calls)}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}


@dataclass(frozen=True)
class _Told:
    """One answer, in the shapes in which it goes out."""

    number: int
    model: str
    prompt: str
    message: dict[str, Json]

    def whole(self) -> dict[str, Json]:
        choice = {"index": 0, "message": self.message, "finish_reason": self._ending, "logprobs": None}
        return {**self._around("chat.completion"), "choices": [choice], "usage": self._usage}

    async def streamed(self, with_usage: bool) -> AsyncIterator[bytes]:
        for delta in self._deltas():
            yield self._event([{"index": 0, "delta": delta, "finish_reason": None}])
        yield self._event([{"index": 0, "delta": {}, "finish_reason": self._ending}])
        if with_usage:
            yield self._event([], usage=self._usage)
        yield b"data: [DONE]\n\n"

    def _deltas(self) -> Iterator[dict[str, Json]]:
        yield {"role": "assistant"}
        for part in _parts(self.message["content"] or ""):
            yield {"content": part}
        for index, call in enumerate(self.message.get("tool_calls", ())):
            function = call["function"]
            yield {"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]}
            for part in _parts(function["arguments"]):
                yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}

    def _event(self, choices: list[Json], **more: Json) -> bytes:
        body = {**self._around("chat.completion.chunk"), "choices": choices, **more}
        return b"data: " + declared_bytes(body) + b"\n\n"

    def _around(self, kind: str) -> dict[str, Json]:
        return {"id": f"chatcmpl-fake-{self.number}", "object": kind, "created": 0, "model": self.model}

    @property
    def _ending(self) -> str:
        return "tool_calls" if "tool_calls" in self.message else "stop"

    @property
    def _usage(self) -> dict[str, Json]:
        """Words in place of tokens."""
        asked, said = len(self.prompt.split()), len(str(self.message["content"]).split())
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _texts(messages: Json) -> Iterator[str]:
    """All text in the messages of a request, that of parts among it."""
    for message in messages:
        content = message.get("content") or ""
        parts = [{"text": content}] if isinstance(content, str) else content
        yield from (part["text"] for part in parts if isinstance(part.get("text"), str))


def _schema(body: dict[str, Json]) -> Json:
    """The schema that a request wants its answer to fit; None for plain text."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return wanted["json_schema"].get("schema", {"type": "object"})
    return {"type": "object"} if wanted.get("type") == "json_object" else None


def _tool(body: dict[str, Json]) -> dict[str, Json] | None:
    """The function to call: the one that the request names or the first; None where its result has come already."""
    functions: list[dict[str, Json]] = [tool["function"] for tool in body.get("tools") or () if "function" in tool]
    choice = body.get("tool_choice")
    if not functions or choice == "none" or body["messages"][-1].get("role") == "tool":
        return None
    name = choice["function"]["name"] if isinstance(choice, dict) else functions[0]["name"]
    return next((function for function in functions if function["name"] == name), functions[0])


def _parts(text: str) -> Iterator[str]:
    return (text[start : start + _PART] for start in range(0, len(text), _PART))


def _refused(status: int, message: str, *, after_s: float | None = None) -> Response:
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    headers = {} if after_s is None else {"retry-after": f"{after_s:g}"}
    return JSONResponse(
        {"error": {"message": message, "type": kind, "param": None, "code": None}}, status_code=status, headers=headers
    )
