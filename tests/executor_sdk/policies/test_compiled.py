"""Compiled schemas: what is kept, what is dropped, and that a stranger cannot fill the memory with them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import orjson
import pytest

from executor_sdk.policies import compiled as module
from executor_sdk.policies.compiled import MAX_COMPILED_BYTES, CostCache, compiled, is_refused, kept
from executor_sdk.policies.schema_bounds import UnusableSchemaError, compiled_bytes
from executor_sdk.protocol.plain import Json
from executor_sdk.protocol.requests import SCHEMA_ONLY_HASH, verify_request

_MIB = 1024 * 1024
_POLICY = {"policy_id": "vp.schema_only.v1", "policy_version": "1", "policy_hash": SCHEMA_ONLY_HASH}


def make_costly(n: int) -> Json:
    """The n-th of as many distinct schemas as are wanted: containers to compare with, properties, or expressions."""
    match n % 3:
        case 0:
            return {"minimum": n, "enum": [{"a": k} for k in range(3_000)]}
        case 1:
            return {"properties": {f"p{n}_{k}": {"type": "string"} for k in range(900)}}
        case _:
            return {"allOf": [{"pattern": rf"^{n}_\p{{L}}{{2}}{k}$"} for k in range(20)]}


def make_verify(schema: Json) -> dict[str, Json]:
    """A body of `POST /verify` that asks for `schema`."""
    proposed = {"candidate_id": "c", "execution_id": "e", "output": "x", "evidence_inline": [], "evidence_refs": []}
    return verify_request(proposed, output_schema=schema, policy={**_POLICY, "policy_params": {}})


#: An executor on the socket whose number is the argument.
_SERVE = """
import socket, sys, uvicorn
from tests.executor_sdk.cli.served import executor
uvicorn.Server(uvicorn.Config(executor, log_level="warning")).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""


@contextmanager
def served() -> Iterator[tuple[str, int]]:
    """An executor in a process of its own: its address, and its process id."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(number)], cwd=Path(__file__).parents[3], pass_fds=(number,)
        )
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", process.pid
        finally:
            process.terminate()
            process.wait(timeout=30)


def resident_bytes(pid: int) -> int:
    """Memory that a process has in use, as the operating system counts."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory of another process is read from /proc")
def test_hundreds_of_costly_schemas_leave_the_memory_of_an_executor_bounded() -> None:
    """300 legal requests with distinct schemas: less than three times what compiled schemas may take."""
    with served() as (url, pid), httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
        client.post("/verify", json=make_verify({"type": "string"})).raise_for_status()
        before = resident_bytes(pid)
        for n in range(300):
            assert client.post("/verify", json=make_verify(make_costly(n))).status_code == 200
        grown = resident_bytes(pid) - before

    assert grown < 3 * MAX_COMPILED_BYTES


def test_the_least_recently_used_is_dropped_when_all_together_cost_too_much() -> None:
    """What was asked for lately stays; what alone costs more than the bound is never kept."""
    cache = CostCache[str](100)
    for name in (b"a", b"b", b"c"):
        cache.add(name, "kept", cost_bytes=30)
    assert cache.get(b"a") is not None

    cache.add(b"d", "kept", cost_bytes=50)
    cache.add(b"e", "kept", cost_bytes=101)
    cache.add(b"d", "kept", cost_bytes=1)

    assert [name in cache for name in (b"a", b"b", b"c", b"d", b"e")] == [True, False, False, True, False]
    assert cache.total_bytes == 80


def test_compiled_schemas_stay_within_their_bound() -> None:
    """However many are compiled; the last is still there, the first is compiled again."""
    texts = [orjson.dumps(make_costly(n)) for n in range(0, 60, 3)]
    digests = [compiled(text).digest for text in texts]

    assert module._COMPILED.total_bytes <= MAX_COMPILED_BYTES
    assert (kept(texts[-1]) is None, kept(texts[0]) is None) == (False, True)
    assert compiled(texts[0]).digest == digests[0]


def test_refused_schemas_are_remembered_within_their_own_bound() -> None:
    """They never drop what was compiled; what is too long is refused without being kept."""
    text = b'{"type": "object"}'
    compiled(text)
    for n in range(200):
        with pytest.raises(UnusableSchemaError, match="objekt"):
            compiled(orjson.dumps({"type": "objekt", "description": f"{n}" + "x" * 60_000}))
    with pytest.raises(UnusableSchemaError, match="more than 65536 bytes"):
        compiled(b'"' + b"x" * 4 * _MIB + b'"')

    assert module._REFUSED.total_bytes <= module.MAX_REFUSED_BYTES
    assert kept(text) is not None
    assert is_refused(b'"' + b"x" * 4 * _MIB + b'"')


def test_a_schema_that_alone_costs_more_than_all_may_is_refused() -> None:
    """250 expressions of many states each; 50 are welcome."""
    schema = {"allOf": [{"pattern": f"^[a-z]{{35}}{n}$"} for n in range(250)]}
    few = {"allOf": schema["allOf"][:50]}

    with pytest.raises(UnusableSchemaError, match="bytes of memory"):
        compiled(orjson.dumps(schema))
    assert compiled(orjson.dumps(few)).cost_bytes == compiled_bytes(few, orjson.dumps(few))
