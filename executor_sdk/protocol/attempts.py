"""Which attempt at a run step a task is, read from the names that a kernel gives it."""

from __future__ import annotations

from executor_sdk.protocol.incoming import ExecuteRequest


def attempt_of(request: ExecuteRequest) -> tuple[str, int | None]:
    """The task id without its attempt, and the attempt; None where no run step is asked for.

    A kernel names the task of a run step `run-RUN-AGENT-ATTEMPT` and puts the agent into the inputs. Tasks made by
    hand have other ids, and no earlier attempt.
    """
    agent = request.inputs.get("agent_id") if isinstance(request.inputs, dict) else None
    stem, _, number = request.task_id.rpartition("-")
    # isdecimal alone takes digits of every script, and int() would read them.
    counted = number.isascii() and number.isdecimal() and len(number) < 10 and number[0] != "0"
    if not isinstance(agent, str) or not counted or not stem.endswith(f"-{agent}"):
        return request.task_id, None
    return stem, int(number)
