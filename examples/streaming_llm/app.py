"""Streams from an OpenAI-compatible model: one client for the process, progress while it writes, and its limits obeyed.

Run `OPENAI_API_KEY=... executor serve examples.streaming_llm.app:executor`; `OPENAI_BASE_URL` names another endpoint.
"""

import os
from collections.abc import AsyncIterator
from typing import Literal

from openai import AsyncOpenAI, BadRequestError, ContentFilterFinishReasonError, LengthFinishReasonError, RateLimitError
from pydantic import BaseModel, Field, ValidationError

from executor_sdk import Executor, Progress, Refuse, TryLater

MODEL = os.environ.get("OPENAI_MODEL", "gpt-4.1-mini")
USUAL_LENGTH = 200  # characters of an answer


async def language_model() -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(max_retries=0) as client:  # `retries` below knows how much time is left
        yield client


executor = Executor(provider_family="acme", model_id=MODEL, lifespan=language_model)


class Ticket(BaseModel):
    text: str = Field(max_length=20_000)


class Triage(BaseModel):
    decision: Literal["URGENT", "CAN_WAIT"]
    answer: str = Field(description="why, in one sentence")
    confidence: float = Field(ge=0, le=1)


@executor.execute("swarm", timeout_s=120, retries=2)
async def triage(ticket: Ticket, model: AsyncOpenAI) -> AsyncIterator[Progress | Triage]:
    try:
        async with model.chat.completions.stream(  # closed where nobody wants the work any more
            model=MODEL,
            messages=[{"role": "system", "content": "Can this ticket wait?"}, {"role": "user", "content": ticket.text}],
            response_format=Triage,
            max_completion_tokens=500,
        ) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    yield Progress(min(len(event.snapshot) / USUAL_LENGTH, 0.99), "the model writes")
            found = (await stream.get_final_completion()).choices[0].message.parsed
    except RateLimitError as error:
        wait = error.response.headers.get("retry-after", "")
        raise TryLater("the model is busy", after_s=float(wait) if wait.isdecimal() else None) from error
    except (LengthFinishReasonError, ValidationError) as error:
        raise TryLater("the model wrote no whole triage") from error
    except (BadRequestError, ContentFilterFinishReasonError) as error:
        raise Refuse("REFUSED_BY_MODEL", "the model does not take this ticket") from error
    if found is None:
        raise Refuse("REFUSED_BY_MODEL", "the model does not answer this ticket")
    yield found
