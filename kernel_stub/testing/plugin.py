"""The pytest fixture `stub_kernel`; load it with `pytest_plugins = ["kernel_stub.testing.plugin"]`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from kernel_stub.testing.stub_kernel import StubKernel
from kernel_stub.testing.stub_kernel import stub_kernel as new_stub_kernel

NewStubKernel: TypeAlias = Callable[..., AbstractAsyncContextManager[StubKernel]]


@pytest.fixture
def stub_kernel(tmp_path: Path) -> NewStubKernel:
    """Opens stub kernels in a directory of the test's own: `async with stub_kernel({"rt": executor}) as kernel:`."""
    return partial[Any](new_stub_kernel, state_dir=tmp_path / "state")
