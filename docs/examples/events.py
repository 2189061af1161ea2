"""Decisions on agent events, which a kernel posts to `/agent-events`."""

from typing import Any

from pydantic import BaseModel

from executor_sdk import AgentEvent, Decision, Executor

executor = Executor(provider_family="acme", model_id="concierge-1")


class TopicMessage(BaseModel):
    content: str


@executor.agent_event("topic_message_requires_reply", timeout_s=50)
async def answers(event: AgentEvent[TopicMessage]) -> Decision:
    if not event.payload.content.strip():
        return Decision.noop("there is nothing to answer")
    return Decision.direct("reply", {"content": f"You said: {event.payload.content}"})


@executor.agent_event  # all events that no other function handles
async def notes(event: AgentEvent[Any]) -> None: ...
