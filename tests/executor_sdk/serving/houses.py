"""The servers of both houses, each in a process of its own, and sockets to try them with."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

ROOT: Final = Path(__file__).parents[3]

#: Seconds in which everything that is waited for must have happened.
SOON_S: Final = 20.0

#: What the small servers of the tests allow.
CONNECTIONS: Final = 8
HEAD_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True)
class House:
    """A server that runs, and how it is spoken to."""

    name: str
    port: int
    pid: int

    @property
    def health(self) -> bytes:
        """A request that it answers with 200."""
        path = {"kernel": "/api/node/status", "executor": "/health"}[self.name]
        return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()

    @property
    def unfinished(self) -> bytes:
        """A request whose body of two bytes is still to come; the server says `100 Continue` when it waits for it."""
        path = {"kernel": "/api/executors/add", "executor": "/execute"}[self.name]
        fields = "host: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 2"
        return f"POST {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode()

    def error(self, body: bytes) -> Any:
        """Code of the error body, after a look at its shape."""
        error = orjson.loads(body)
        if self.name == "kernel":
            assert (list(error)[:3], error["ok"]) == (["ok", "error", "code"], False)
            return error["code"]
        assert list(error["error"]) == ["code", "message", "retryable"]
        return error["error"]["code"]

    def rss_bytes(self) -> int:
        """Memory that the server holds."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def connect(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(("127.0.0.1", self.port), SOON_S)

    def ask(self, request: bytes) -> Answered:
        """What one request brings on a connection of its own."""
        with self.connect() as caller:
            caller.sendall(request)
            return answered(caller)


@dataclass(frozen=True)
class Answered:
    """One response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def answered(caller: socket.socket) -> Answered:
    """The next response on the connection; a status of 0 where it was closed without one."""
    came = b""
    while b"\r\n\r\n" not in came:
        if not (part := caller.recv(1)):
            return Answered(0, {}, came)
        came += part
    first, *lines = came.decode().rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += caller.recv(int(headers["content-length"]) - len(body))
    return Answered(int(first.split()[1]), headers, body)


@contextmanager
def small(name: str, folder: Path) -> Iterator[House]:
    """A server with few connections and little patience."""
    options = [f"--max-connections={CONNECTIONS}", f"--head-timeout={HEAD_TIMEOUT_S}"] if name == "kernel" else []
    environment = {"EXECUTOR_MAX_CONNECTIONS": str(CONNECTIONS), "EXECUTOR_HEAD_TIMEOUT_S": str(HEAD_TIMEOUT_S)}
    with running(name, folder, options, environment) as house:
        yield house


@contextmanager
def running(
    name: str, folder: Path, options: Sequence[str] = (), environment: Mapping[str, str] | None = None, files: int = 0
) -> Iterator[House]:
    """The server of a house as its command line starts it, with room for so many open files."""
    command = {
        "executor": ["executor_sdk.cli", "serve", "tests.executor_sdk.cli.served"],
        "kernel": ["kernel_stub.cli", "--state-dir", str(folder), "serve", "--no-worker"],
    }[name]
    limited = ["sh", "-c", f'ulimit -n {files} && exec "$0" "$@"'] if files else []
    process = subprocess.Popen(
        [*limited, sys.executable, "-m", *command, "--listen", "127.0.0.1:0", *options],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        house = House(name, int(process.stdout.readline().rpartition(":")[2]), process.pid)
        # Whatever is loaded with the first request is no part of what a test measures.
        assert house.ask(house.health).status == 200
        yield house
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
