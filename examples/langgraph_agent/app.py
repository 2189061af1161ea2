"""Wraps a LangGraph graph: its updates are progress, and what a cut attempt has done, the next one need not do again.

Run `CHECKPOINTS=checkpoints.sqlite executor serve examples.langgraph_agent.app:executor`.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel

from executor_sdk import Executor, Refuse, Task


class Sales(TypedDict, total=False):
    last_year_url: str
    this_year_url: str
    last_year: float
    this_year: float


@dataclass(frozen=True)
class Asked:
    by: Task


# A node of yours may ask a model; nothing around it changes.
async def read_last_year(state: Sales, *, runtime: Runtime[Asked]) -> Sales:
    return {"last_year": total_of(await runtime.context.by.fetch(state["last_year_url"]))}


async def read_this_year(state: Sales, *, runtime: Runtime[Asked]) -> Sales:
    return {"this_year": total_of(await runtime.context.by.fetch(state["this_year_url"]))}


def total_of(table: bytes) -> float:
    try:
        return sum(float(line.split(b",")[1]) for line in table.splitlines()[1:])
    except (ValueError, IndexError) as error:
        raise Refuse("NO_SALES", "the second column of the table must be amounts") from error


BLUEPRINT = StateGraph(Sales, context_schema=Asked)
BLUEPRINT.add_node("last year", read_last_year)
BLUEPRINT.add_node("this year", read_this_year)
BLUEPRINT.add_edge(START, "last year")
BLUEPRINT.add_edge("last year", "this year")
PROGRESS = {"last year": 0.5, "this year": 1.0}


@dataclass(frozen=True)
class Analyst:
    graph: CompiledStateGraph[Sales, Asked, Sales, Sales]
    checkpoints: AsyncSqliteSaver


async def analyst() -> AsyncIterator[Analyst]:
    async with AsyncSqliteSaver.from_conn_string(os.environ.get("CHECKPOINTS", ":memory:")) as checkpoints:
        yield Analyst(BLUEPRINT.compile(checkpointer=checkpoints), checkpoints)


executor = Executor(provider_family="acme", model_id="sales-graph-1", lifespan=analyst)


class Ask(BaseModel):
    last_year_url: str
    this_year_url: str


class Finding(BaseModel):
    decision: Literal["GROWTH", "DECLINE"]
    answer: str


@executor.execute("swarm", timeout_s=100)
async def compare(ask: Ask, task: Task, analyst: Analyst) -> Finding:
    thread: RunnableConfig = {"configurable": {"thread_id": task.step_key}}  # the same for all attempts at the step
    begun = (await analyst.graph.aget_state(thread)).next
    start: Sales | None = None if begun else {"last_year_url": ask.last_year_url, "this_year_url": ask.this_year_url}
    async for update in analyst.graph.astream(start, thread, context=Asked(task), stream_mode="updates"):
        for node in update:
            task.progress(PROGRESS[node], node)
    sales = (await analyst.graph.aget_state(thread)).values
    await analyst.checkpoints.adelete_thread(task.step_key)  # if the answer is turned down, all is to be done again
    growth = sales["this_year"] - sales["last_year"]
    return Finding(decision="GROWTH" if growth > 0 else "DECLINE", answer=f"{growth:+.2f}")
