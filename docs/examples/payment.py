"""Reports of a handler, and a block that nothing interrupts: a payment and the record of it."""

from pydantic import BaseModel

from executor_sdk import Executor, Task

executor = Executor(provider_family="acme", model_id="payments-1")
paid: dict[str, int] = {}
recorded: list[str] = []


class Ask(BaseModel):
    cents: int


class Receipt(BaseModel):
    answer: str


async def pay(cents: int, *, idempotency_key: str) -> None:
    paid.setdefault(idempotency_key, cents)


async def record(key: str) -> None:
    recorded.append(key)


# start
@executor.execute("swarm")
async def settle(ask: Ask, task: Task) -> Receipt:
    task.log.info("paying %d cents", ask.cents)
    async with task.shield(seconds=5):  # neither the deadline nor a cancel comes between the two
        await pay(ask.cents, idempotency_key=task.step_key)
        await record(task.step_key)
    task.metric("paid", ask.cents / 100, "EUR")
    return Receipt(answer="paid")
