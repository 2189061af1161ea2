"""A handler that asks a service on the web, with a token that stands in the environment only."""

from pydantic import BaseModel

from executor_sdk import Executor, Refuse, Secret, Task

CRM = "https://crm.example.com/v1/customers"
TOKEN = Secret("env:CRM_TOKEN", "Bearer {}")

executor = Executor(provider_family="acme", model_id="customers-1")


class Ask(BaseModel):
    customer: str


class Standing(BaseModel):
    answer: str


@executor.execute("standing", retries=2)
async def standing(ask: Ask, task: Task) -> Standing:
    response = await task.http.get(
        CRM, params={"name": ask.customer}, headers={"authorization": TOKEN}, allow_statuses={404}
    )
    if response.status_code == 404:
        raise Refuse("NO_SUCH_CUSTOMER", "the customer is not in the CRM")
    return Standing(answer=response.json()["standing"])
