"""A generator: it yields how far it is, what it knows already, and last of all its result."""

from collections.abc import AsyncIterator

from pydantic import BaseModel

from executor_sdk import Executor, Partial, Progress

executor = Executor(provider_family="acme", model_id="pages-1")


class Ask(BaseModel):
    pages: list[str]


class Words(BaseModel):
    answer: str


@executor.execute("swarm", timeout_s=300)
async def count_words(ask: Ask) -> AsyncIterator[Progress | Partial | Words]:
    words = 0
    for number, page in enumerate(ask.pages):
        words += len(page.split())
        yield Partial({"answer": str(words)})
        yield Progress((number + 1) / len(ask.pages), f"page {number + 1}")
    yield Words(answer=str(words))
