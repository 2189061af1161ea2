"""Which library carries the calls to executors: aiohttp where `executor-sdk[kernel]` brought it, else httpx2."""

from __future__ import annotations

from typing import TypeAlias

import httpx2

from executor_sdk.client.exchange import Pool
from executor_sdk.client.httpx2_pool import Httpx2Pool

#: What an ExecutorClient can be given to send its calls with.
Http: TypeAlias = Pool | httpx2.AsyncClient


def pooled_http(transport: httpx2.AsyncBaseTransport | None = None) -> Pool:
    """A pool to share among many ExecutorClients; close it with `async with` or `aclose()`.

    With a `transport`, all calls go through that.
    """
    if transport is not None:
        return Httpx2Pool(transport=transport)
    try:
        from executor_sdk.client.aiohttp_pool import AiohttpPool
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        return Httpx2Pool()
    return AiohttpPool()
