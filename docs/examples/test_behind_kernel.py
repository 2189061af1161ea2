"""The executor behind a whole kernel, in one process: a run from its submission to its decision."""

from typing import Any

import pytest
from app import executor

pytest_plugins = ["kernel_stub.testing.plugin"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_three_agents_agree(stub_kernel: Any) -> None:
    agents = [{"agent_id": f"a{n}", "executor": "rt", "prompt": "look"} for n in range(3)]
    inputs = {"data_url": "data:text/csv,region,amount%0Anorth,5"}
    spec = {"run_id": "r-1", "task_type": "swarm", "shared_inputs": inputs, "agents": agents}

    async with stub_kernel({"rt": executor}) as kernel, executor.lifespan():
        result = await kernel.run(spec)

    assert result["status"] == "FINALIZED"
