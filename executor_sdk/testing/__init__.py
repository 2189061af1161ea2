"""What tests use: an executor without sockets, and stand-ins for the kernel, the clock, a model and the network."""

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
