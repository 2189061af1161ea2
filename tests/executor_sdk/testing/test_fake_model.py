"""A fake model answers as a real endpoint does, to the client that authors use, and the same each time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx2
import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError, RateLimitError
from pydantic import BaseModel, Field, ValidationError

from executor_sdk import Executor, Task, TryLater, in_process
from executor_sdk.testing import FakeModel, FakeModelError, FakeTime, UndrawableError, serve

pytestmark = pytest.mark.anyio


class Finding(BaseModel):
    """An output as agents give it."""

    decision: Literal["GROWTH", "DECLINE"]
    answer: str = Field(min_length=3)
    confidence: float = Field(ge=0, le=1)
    drivers: list[str] = Field(max_length=2)


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"region": {"enum": ["north"]}}, "required": ["region"]},
    },
}


@pytest.fixture
def model() -> FakeModel:
    """A fresh model."""
    return FakeModel()


@pytest.fixture
async def client(model: FakeModel) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's own client, over a real socket."""
    with serve(model) as served:
        async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key="-", max_retries=0) as client:
            yield client


def said(prompt: str) -> Any:
    """The messages of one prompt."""
    return [{"role": "system", "content": "You analyse."}, {"role": "user", "content": prompt}]


async def test_the_same_prompt_has_the_same_valid_answer() -> None:
    """In any process, for any schema; another prompt may have another one."""
    answers = [FakeModel().answer(f"prompt {number}", Finding) for number in range(20)]

    assert answers == [FakeModel().answer(f"prompt {number}", Finding) for number in range(20)]
    assert {answer.decision for answer in answers} == {"GROWTH", "DECLINE"}
    assert isinstance(FakeModel().answer("p"), str)
    assert FakeModel().answer("p", {"type": "integer", "minimum": 7, "maximum": 7}) == 7


async def test_a_test_says_what_is_answered_and_what_fails(model: FakeModel) -> None:
    """By number, by order and by what the prompt is about; every call counts."""
    finding = {"decision": "DECLINE", "answer": "down", "confidence": 1, "drivers": []}
    model.answers("first", finding).answers_to("revenue", "told").fails(at=3)

    assert model.answer("any") == "first"
    assert model.answer("any", Finding).answer == "down"
    with pytest.raises(FakeModelError, match="the test lets call 3 of this fake model fail"):
        model.answer("any")
    assert model.answer("Which way did revenue go?") == "told"
    with pytest.raises(ValidationError):
        model.answers({"decision": "MAYBE"}).answer("any", Finding)
    assert [call.prompt for call in model.calls] == ["any"] * 3 + ["Which way did revenue go?", "any"]


async def test_a_pattern_is_not_guessed(model: FakeModel) -> None:
    """The sentence names the place."""
    schema = {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^[A-Z]{9}$"}},
        "required": ["code"],
    }

    with pytest.raises(UndrawableError, match=r"no value was found for \$\.code: .*give the schema `examples` there"):
        model.answer("p", schema)


async def test_openais_client_is_answered(model: FakeModel, client: AsyncOpenAI) -> None:
    """Text, and what fits a schema."""
    model.answers("plain text")

    told = await client.chat.completions.create(model="m", messages=said("p"))
    assert (told.choices[0].message.content, told.choices[0].finish_reason, told.model) == ("plain text", "stop", "m")
    assert told.usage is not None
    assert told.usage.completion_tokens == 2
    parsed = await client.chat.completions.parse(model="m", messages=said("p"), response_format=Finding)
    assert isinstance(parsed.choices[0].message.parsed, Finding)
    assert model.calls[1].prompt == "You analyse.\np"
    assert model.calls[1].request["response_format"]["type"] == "json_schema"


async def test_an_answer_is_streamed(model: FakeModel, client: AsyncOpenAI) -> None:
    """In several parts, with the numbers at the end for who wants them."""
    model.answers("a text of more than sixteen characters, and é")

    stream = await client.chat.completions.create(
        model="m", messages=said("p"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    parts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(parts) == "a text of more than sixteen characters, and é"
    assert len(parts) == 3
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None


@pytest.mark.parametrize(
    "choice", ["auto", {"type": "function", "function": {"name": "look_up"}}], ids=["auto", "named"]
)
async def test_a_tool_is_called_before_the_answer(choice: Any, model: FakeModel, client: AsyncOpenAI) -> None:
    """With arguments that fit its parameters; whole and streamed."""
    given: Any = {"model": "m", "messages": said("p"), "tools": [TOOL], "tool_choice": choice}

    told = (await client.chat.completions.create(**given)).choices[0]
    assert told.finish_reason == "tool_calls"
    (call,) = told.message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("look_up", '{"region":"north"}')
    async with client.chat.completions.stream(model="m", messages=said("p"), tools=[TOOL]) as stream:
        streamed = (await stream.get_final_completion()).choices[0].message.tool_calls
    assert streamed is not None
    assert streamed[0].function.arguments == '{"region":"north"}'

    after = [*said("p"), told.message, {"role": "tool", "tool_call_id": call.id, "content": "5"}]
    assert (await client.chat.completions.create(**{**given, "messages": after})).choices[0].message.content


async def test_failures_are_those_of_an_endpoint(model: FakeModel, client: AsyncOpenAI) -> None:
    """With status and `Retry-After`; what is no request is refused."""
    model.fails(at=1, status=429, after_s=7).fails(at=2)

    with pytest.raises(RateLimitError) as limited:
        await client.chat.completions.create(model="m", messages=said("p"))
    assert limited.value.response.headers["retry-after"] == "7"
    with pytest.raises(APIStatusError, match="call 2 of this fake model") as failed:
        await client.chat.completions.create(model="m", messages=said("p"))
    assert failed.value.status_code == 503
    wrong: Any = "p"
    with pytest.raises(BadRequestError, match="a request is a JSON object with `messages`"):
        await client.chat.completions.create(model="m", messages=wrong)
    pattern: Any = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "string", "pattern": "^9{9}$"}},
    }
    with pytest.raises(BadRequestError, match=r"FakeModel\(\)\.answers"):
        await client.chat.completions.create(model="m", messages=said("p"), response_format=pattern)


async def test_without_sockets_waiting_for_a_model_is_skipped() -> None:
    """A handler that asks a busy model again after a minute, tested at once."""
    model = FakeModel().fails(at=1, status=429, after_s=60)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(model))
    client = AsyncOpenAI(base_url="http://model/v1", api_key="-", max_retries=0, http_client=http)
    executor = Executor("acme", "m-1")

    @executor.execute("t", retries=3, timeout_s=300)
    async def find(inputs: dict[str, Any], task: Task) -> Finding:
        try:
            told = await client.chat.completions.parse(model="m", messages=said("p"), response_format=Finding)
        except RateLimitError as error:
            raise TryLater("the model is busy", after_s=float(error.response.headers["retry-after"])) from None
        assert told.choices[0].message.parsed is not None
        return told.choices[0].message.parsed

    time = FakeTime()
    with in_process(executor, time=time) as rt:
        assert isinstance(rt.execute({}).output, Finding)
    assert time.skipped_s == pytest.approx(60, abs=5)
    assert len(model.calls) == 2
