"""What every test may use: one event loop backend."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as uvicorn does."""
    return "asyncio"
