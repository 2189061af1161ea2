"""Opens the kernel that the arguments speak of, on the state directory's own file."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kernel_stub.cli.arguments import settings_of
from kernel_stub.kernel import Kernel, open_kernel


@asynccontextmanager
async def opened(arguments: argparse.Namespace) -> AsyncIterator[Kernel]:
    """A kernel for the length of one command; no server is needed, and one may run beside it."""
    async with open_kernel(settings_of(arguments)) as kernel:
        yield kernel
