"""State of the process: rates that are loaded once, and a class that holds a model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel

from executor_sdk import Executor, execute


class Rates:
    @classmethod
    async def load(cls) -> "Rates":
        return cls()

    def of(self, currency: str) -> float:
        return {"EUR": 2.0}[currency]

    async def close(self) -> None: ...


class Model:
    def forecast(self, amount: float) -> str:
        return f"model says {amount}"


async def load_model() -> Model:
    return Model()


class Ask(BaseModel):
    amount: float
    currency: str


class Finding(BaseModel):
    answer: str


# start
@asynccontextmanager
async def rates() -> AsyncIterator[Rates]:  # or a plain generator function; it may take the executor
    opened = await Rates.load()
    yield opened  # the process serves
    await opened.close()


executor = Executor(provider_family="acme", model_id="rates-1", lifespan=rates)  # or several: lifespan=(rates, pools)


@executor.execute("swarm")
async def convert(ask: Ask, rates: Rates) -> Finding:  # a parameter of the type gets the state
    return Finding(answer=str(ask.amount * rates.of(ask.currency)))


# class
@executor.include  # a class, made at the start, or another executor with all that it does
class Analyst:
    async def setup(self) -> None:  # `close` ends it, `health` becomes the health check; all three may be left out
        self.model = await load_model()

    @execute("forecast")  # from executor_sdk import execute, verify
    async def forecast(self, ask: Ask, rates: Rates) -> Finding:
        return Finding(answer=self.model.forecast(ask.amount * rates.of(ask.currency)))
