"""Evidence in the answer, and evidence that is kept by its digest."""

from pydantic import BaseModel

from executor_sdk import Executor, Task

executor = Executor(provider_family="acme", model_id="negatives-1")


class Ask(BaseModel):
    data_url: str


class Negatives(BaseModel):
    answer: str


@executor.execute("swarm")
async def negatives(ask: Ask, task: Task) -> Negatives:
    lines = (await task.fetch(ask.data_url)).splitlines()
    found = [line for line in lines if b",-" in line]
    task.evidence(f"{len(found)} of {len(lines)} lines are negative")  # text/plain, in the answer
    task.evidence({"lines": len(lines), "negative": len(found)})  # application/json, in the answer
    task.artifact(b"\n".join(found), "text/csv")  # kept here; the answer has its digest
    return Negatives(answer=str(len(found)))
