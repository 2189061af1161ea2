"""A server whose application opens every file that its process may open: `python -m … LOOP`."""

from __future__ import annotations

import os
import resource
import sys

from starlette.types import Receive, Scope, Send

from executor_sdk.serving.addresses import LOOPBACK, listen
from executor_sdk.serving.server import Server, configuration

_SOFT, _HARD = 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]

held: list[int] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/eat` and `/release`; everything else is answered too."""
    if scope["path"] == "/eat":
        resource.setrlimit(resource.RLIMIT_NOFILE, (_SOFT, _HARD))
        while True:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
    if scope["path"] == "/release":
        while held:
            os.close(held.pop())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


if __name__ == "__main__":
    with listen(LOOPBACK, 0) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        Server(configuration(app, loop=sys.argv[1], lifespan="off")).run([listening])
