"""A step that takes minutes, asks a service that is not always ready, and orders from it once."""

from collections.abc import AsyncIterator

from pydantic import BaseModel

from executor_sdk import Executor, Refuse, Task, TryLater


class Printer:
    """Stands for a service that is not ready at once, and takes the same order twice without printing twice."""

    def __init__(self) -> None:
        self.not_ready_for = 2
        self.orders: dict[str, str] = {}

    async def order(self, topic: str, *, idempotency_key: str) -> str:
        return self.orders.setdefault(idempotency_key, f"a report on {topic}")

    def is_ready(self) -> bool:
        self.not_ready_for -= 1
        return self.not_ready_for < 0


async def printers() -> AsyncIterator[Printer]:
    yield Printer()


class Ask(BaseModel):
    topic: str


class Report(BaseModel):
    answer: str


executor = Executor(provider_family="acme", model_id="reports-1", lifespan=printers)


# start
@executor.execute("report", timeout_s=600, retries=3, backoff_s=0.5)
async def report(ask: Ask, task: Task, printer: Printer) -> Report:
    if not ask.topic.strip():
        raise Refuse("NO_TOPIC", "a report needs a topic")  # 422: never ask me this again
    if not printer.is_ready():
        raise TryLater("the printer is warming up", after_s=0.2)  # called again after 0.2 s
    task.progress(0.1, "ordering")
    return Report(answer=await printer.order(ask.topic, idempotency_key=task.step_key))


# thread
@executor.execute("count", timeout_s=60)
def count(ask: Ask, task: Task) -> Report:
    """A plain function runs in a thread, which nobody can stop: it asks whether it is still wanted."""
    found = 0
    for letter in ask.topic:
        task.check()  # raises TaskCancelled at the deadline, or when nobody wants the work
        found += letter.isalpha()
    return Report(answer=str(found))
