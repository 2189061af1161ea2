"""Trials: what `executor dev` asks of a kernel beside it, what the kernel says, and the kernel that is installed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from executor_sdk.protocol.plain import Json

#: A package with a kernel names a function here that opens the kernel, an `OpenKernel`.
GROUP: Final = "executor_sdk.dev_kernels"

#: How much a sentence matters: `bad` is what the author has to mend before a real kernel gets anything.
Weight: TypeAlias = Literal["fact", "good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Trial:
    """A run to be tried: `agents` steps of one task type, all with these inputs."""

    task_type: str
    profile: str
    inputs: Json
    agents: int


@dataclass(frozen=True, slots=True)
class Said:
    """What happened in a trial, in one sentence, and what the author can do about it where there is something."""

    weight: Weight
    sentence: str
    mend: str = ""


#: Told of each thing as it happens.
Tell: TypeAlias = Callable[[Said], None]


class TrialKernel(Protocol):
    """An open kernel that knows the executor under development."""

    async def run(self, trial: Trial, tell: Tell) -> None:
        """Have the trial done and tell its story; cancelled, the run ends."""


class OpenKernel(Protocol):
    """Opens a kernel."""

    def __call__(self, folder: Path, executor_url: str, /) -> AbstractAsyncContextManager[TrialKernel]:
        """A kernel that keeps everything in `folder` and calls the executor at `executor_url`."""


class NoKernelError(RuntimeError):
    """No kernel can be loaded; the message says what to install."""


def installed_kernel() -> OpenKernel:
    """The kernel that is installed, the first by its name.

    Raises:
        NoKernelError: there is none, or its libraries are missing.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found: OpenKernel = entry.load()
        except ImportError as error:
            raise NoKernelError(str(error)) from None
        return found
    raise NoKernelError("no kernel is installed: pip install 'executor-sdk[kernel]'")
