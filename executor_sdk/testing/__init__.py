"""What tests use: an executor without sockets, and stand-ins for the kernel, the clock, a model and the network.

An executor under test, whole but for the sockets. It is asked as a kernel asks, and raises what its author raised:

>>> from executor_sdk import Executor, Task, TryLater, in_process
>>> executor = Executor("acme", "drivers-1")
>>> @executor.execute("swarm", timeout_s=100, retries=1)
... async def drivers(inputs: dict, task: Task) -> dict:
...     task.progress(0.5, "half")
...     if inputs.get("busy") and model.calls == []:
...         model.answer("hello")
...         raise TryLater("the model is loading", after_s=60)
...     return {"answer": (await task.fetch("https://data.test/q3.csv")).decode()}
>>> with in_process(executor, files={"https://data.test/q3.csv": b"north,5"}, timeout_s=10) as rt:
...     done = rt.execute({})
...     done.output, rt.verify(done).status
({'answer': 'north,5'}, 'passed')

The handler alone, as the function that it is, with a task that no kernel asked for; `task.cancel()` plays the kernel:

>>> from executor_sdk.testing import FakeModel, FakeTime, a_task, no_network, serve
>>> task = a_task(files={"https://data.test/q3.csv": b"north,5"})
>>> FakeTime().run(drivers({}, task)), task.reported
({'answer': 'north,5'}, [(0.5, 'half')])

A model that answers every prompt with something valid, the same prompt always with the same; `serve(model)` makes an
OpenAI endpoint of it. And a clock that skips the waiting, here the minute that the handler asks for:

>>> model, time = FakeModel(), FakeTime()
>>> with in_process(executor, files={"https://data.test/q3.csv": b"north,5"}, time=time, timeout_s=600) as rt:
...     done = rt.execute({"busy": True})
>>> round(time.skipped_s), len(model.calls)
(60, 1)

Nothing beyond this machine is reached. For all tests of a project, write `usefixtures = no_network` among pytest's
settings:

>>> import socket
>>> with no_network() as attempts:
...     try:
...         socket.create_connection(("data.test", 443))
...     except OSError as error:
...         print(str(error).partition(";")[0])
...     attempts.clear()  # else the end of the block raises it, too
this code wanted to reach data.test, but may reach nothing beyond this machine

A real server on a free port of this machine, for whatever speaks HTTP:

>>> with serve(executor) as served:
...     served.url.startswith("http://127.0.0.1:")
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from executor_sdk.testing.drawn import UndrawableError
    from executor_sdk.testing.fake_model import FakeModel, FakeModelError, ModelCall
    from executor_sdk.testing.fake_time import FakeTime
    from executor_sdk.testing.network import RealNetworkError, no_network
    from executor_sdk.testing.process import Done, InProcess, Judged, in_process
    from executor_sdk.testing.server import Served, serve
    from executor_sdk.testing.tasks import FakeTask, a_task

__all__ = [
    "Done",
    "FakeModel",
    "FakeModelError",
    "FakeTask",
    "FakeTime",
    "InProcess",
    "Judged",
    "ModelCall",
    "RealNetworkError",
    "Served",
    "UndrawableError",
    "a_task",
    "in_process",
    "no_network",
    "serve",
]

#: Where the names live that are not in `process`.
_HOMES = {
    "FakeModel": "fake_model",
    "FakeModelError": "fake_model",
    "FakeTask": "tasks",
    "FakeTime": "fake_time",
    "ModelCall": "fake_model",
    "RealNetworkError": "network",
    "Served": "server",
    "UndrawableError": "drawn",
    "a_task": "tasks",
    "no_network": "network",
    "serve": "server",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'process')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
