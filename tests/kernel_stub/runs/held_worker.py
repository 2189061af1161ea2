"""A program for tests: a worker on a state directory, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from tests.kernel_stub.workshop import workshop


async def main(state_dir: Path, base_url: str) -> None:
    """Work."""
    async with workshop(state_dir, base_url=base_url) as shop:
        await shop.worker(worker_id="other").run()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2])
