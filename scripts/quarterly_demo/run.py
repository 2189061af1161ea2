"""The run itself: submitted, followed event by event, and its worker killed in the middle of a step."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import anyio
from kernel import ENDED
from processes import DemoError, Processes, Started
from relay import Calls
from scene import Scene, set_up
from story import TIMES, fact, hang_ups, happened, line, title, told

#: When a run is given up; it takes ten seconds on two cores, and a minute only on a machine that does much else.
RUN_S: Final = 120.0
#: How often a caller shall have hung up on a step before its worker is killed.
HANG_UPS: Final = 3


async def play(processes: Processes, sales: Path, folder: Path) -> dict[str, Any]:
    """Set the scene, let the run happen, tell what the wire saw and why it ended so; return its result."""
    async with set_up(processes, sales, folder) as scene:
        result = await _run(scene)
        _tell_hang_ups(scene)
        title("Why")
        for said in await scene.kernel.why(scene.spec["run_id"]):
            line(said)
    return result


async def _run(scene: Scene) -> dict[str, Any]:
    spec = scene.spec
    title(f"The run {spec['run_id']}: {len(spec['agents'])} analysts, quorum {spec['aggregation']['quorum']}")
    for agent in spec["agents"]:
        fact(agent["agent_id"], agent["prompt"])
    await scene.kernel.submit(spec)
    await scene.kernel.kickoff(spec["run_id"])
    first = scene.worker("worker-1")
    try:
        with anyio.fail_after(RUN_S):
            await _follow(scene, first)
    except TimeoutError:
        raise DemoError(f"the run did not end within {RUN_S:.0f} s") from None
    if first.process.poll() is None:
        raise DemoError("not as promised: no step took long enough for its worker to be killed in the middle")
    return await scene.kernel.result(spec["run_id"])


async def _follow(scene: Scene, first: Started) -> None:
    """Tell each event as it happens, and kill the first worker once steps have been hung up on often enough."""
    began, known = time.monotonic(), 0
    while True:
        status = await scene.kernel.status(scene.spec["run_id"])
        events = await scene.kernel.events(scene.spec["run_id"])
        for event in events[known:]:
            happened((event["created_at"] - events[0]["created_at"]) / 1000, told(event))
        known = len(events)
        if status in ENDED:
            return
        if first.process.poll() is None and (held := _ripe(scene.calls)):
            first.kill_9()
            happened(time.monotonic() - began, f"kill -9 {first.pid}: worker-1 dies in the middle of {held}")
            second = scene.worker("worker-2")
            happened(time.monotonic() - began, f"worker-2 is process {second.pid}")
        await anyio.sleep(0.02)


def _ripe(calls: Calls) -> str:
    """The agents whose steps wait for an answer now, once they have been hung up on often enough.

    Preferably all that are unanswered: between two copies a call waits for a moment at the caller.
    """
    unanswered = [step for step in calls.asked if not calls.answered[step]]
    waiting = [step for step in unanswered if calls.waiting[step]]
    most = max((calls.hung_up[step] for step in waiting), default=0)
    ripe = most > HANG_UPS or (most == HANG_UPS and waiting == unanswered)
    return ", ".join(sorted(step.agent_id for step in waiting)) if ripe else ""


def _tell_hang_ups(scene: Scene) -> None:
    """Two sources that know nothing of each other: the relay counts calls, the analyst's log says when it looked."""
    title("What the wire saw between the kernel and rt (a caller that is killed hangs up, too)")
    calls, works = scene.calls, scene.works()
    for said in hang_ups(calls, works):
        line(said)
    most = max(calls.hung_up.values(), default=0)
    if set(works) != set(calls.asked) or set(works.values()) != {1}:
        raise DemoError(f"not as promised: the work of each step is done once, and it was {dict(works)}")
    if most < HANG_UPS:
        raise DemoError(f"not as promised: callers hung up on no step {HANG_UPS} times")
    line(f"So: caller hung up {most}{TIMES}, work done once.")
