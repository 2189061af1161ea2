"""Wraps an agent of the OpenAI Agents SDK: its tool reads through the task, its steps are progress, nothing is traced.

Run `OPENAI_API_KEY=... executor serve examples.openai_agents.app:executor`.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Literal

from agents import Agent, ModelProvider, OpenAIProvider, RunConfig, RunContextWrapper, Runner, function_tool
from agents.exceptions import MaxTurnsExceeded, ModelBehaviorError, ModelRefusalError, UserError
from pydantic import BaseModel, Field

from executor_sdk import Executor, ExecutorError, Progress, Refuse, Task, TryLater

MAX_TURNS = 6


class Ruling(BaseModel):
    decision: Literal["REFUND", "REJECT"]
    answer: str = Field(description="the reason in one sentence")


@function_tool(failure_error_function=None)  # what fails is for the kernel to hear, not for the model to talk over
async def delivery_notes(run: RunContextWrapper[Task]) -> str:
    """The delivery notes of the order that the complaint is about."""
    task = run.context
    return (await task.fetch(Complaint.model_validate(task.inputs).notes_url, max_bytes=20_000)).decode()


clerk = Agent[Task](
    name="clerk",
    instructions="Rule on the user's complaint by the delivery notes.",
    tools=[delivery_notes],
    output_type=Ruling,
)


async def models() -> AsyncIterator[ModelProvider]:
    async with aclosing(OpenAIProvider()) as provider:
        yield provider


executor = Executor(provider_family="acme", model_id="clerk-1", lifespan=models)


class Complaint(BaseModel):
    text: str = Field(max_length=5_000)
    notes_url: str


@executor.execute("swarm", timeout_s=120, retries=1)
async def rule(complaint: Complaint, task: Task, models: ModelProvider) -> AsyncIterator[Progress | Ruling]:
    settings = RunConfig(model_provider=models, tracing_disabled=True)
    run = Runner.run_streamed(clerk, complaint.text, context=task, max_turns=MAX_TURNS, run_config=settings)
    try:
        async for event in run.stream_events():
            if event.type == "run_item_stream_event":
                yield Progress(run.current_turn / MAX_TURNS, event.name)
    except (MaxTurnsExceeded, ModelBehaviorError) as error:
        raise TryLater("the agent came to no ruling") from error
    except ModelRefusalError as error:
        raise Refuse("REFUSED_BY_MODEL", "the model does not rule on this complaint") from error
    except UserError as error:  # what a tool raises comes out of the SDK as its cause
        raise (error.__cause__ if isinstance(error.__cause__, ExecutorError) else error) from None
    finally:
        run.cancel()  # where nobody wants the ruling any more, the agent stops as well
    yield run.final_output_as(Ruling)
