"""Asks two other executors for parts of an answer and merges them; what one refuses or puts off, goes to the caller.

Run `PRICES_URL=http://127.0.0.1:8801 STOCK_URL=http://127.0.0.1:8802 executor serve examples.gateway.app:executor`.
"""

import os
from asyncio import TaskGroup
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, PositiveInt

from executor_sdk import Executor, ExecutorClient, Task


@dataclass(frozen=True)
class Peers:
    prices: ExecutorClient
    stock: ExecutorClient


async def peers() -> AsyncIterator[Peers]:
    async with ExecutorClient(os.environ["PRICES_URL"]) as prices, ExecutorClient(os.environ["STOCK_URL"]) as stock:
        yield Peers(prices, stock)


executor = Executor(provider_family="acme", model_id="orders-1", lifespan=peers)


class Order(BaseModel):
    article: str
    pieces: PositiveInt
    budget_cents: PositiveInt


class Price(BaseModel):
    cents: int


class Stock(BaseModel):
    pieces: int


class Advice(BaseModel):
    decision: Literal["BUY", "WAIT"]
    answer: str


@executor.execute("swarm", timeout_s=100)
async def advise(order: Order, task: Task, peers: Peers) -> Advice:
    part = {"article": order.article}
    async with TaskGroup() as group:  # both at once; `within` makes all copies of this task one work there
        price = group.create_task(peers.prices.ask(part, task_type="price", as_=Price, within=task))
        stock = group.create_task(peers.stock.ask(part, task_type="stock", as_=Stock, within=task))
    cents, pieces = price.result().output.cents * order.pieces, stock.result().output.pieces
    buys = cents <= order.budget_cents and pieces >= order.pieces
    return Advice(decision="BUY" if buys else "WAIT", answer=f"{cents} cents, {pieces} in stock")
