"""Costly checks beside the event loop: the loop comes to its turn, and the wait is bounded."""

from __future__ import annotations

import threading
import time
from functools import partial

import anyio
import anyio.lowlevel
import orjson
import pytest

from executor_sdk.errors import SaturatedError
from executor_sdk.policies.builtin import POLICIES, Evaluation
from executor_sdk.policies.judging import Judging
from executor_sdk.policies.schemas import is_costly
from executor_sdk.protocol.plain import parse

pytestmark = pytest.mark.anyio

_POLICY = POLICIES["vp.schema_only.v1"]
_STRANGERS = 24

#: Nearly all the work that one check may take: 25 alternatives for each of 20,000 numbers.
_COSTLY = orjson.dumps({"items": {"oneOf": [{"const": n} for n in range(25)]}})
_OUTPUT = b"[" + b"24," * 20_000 + b"24]"

_PLAIN = b'{"type":"object","required":["answer"],"properties":{"answer":{"type":"string"}}}'


def _check() -> Evaluation:
    return _POLICY.judge(_COSTLY, _OUTPUT, {})


def make_judging(*, max_waiting: int = 64, max_bytes: int = 2**25) -> Judging:
    """With the bounds that are the default."""
    return Judging(max_waiting=max_waiting, max_bytes=max_bytes)


class Ticks:
    """A loop's own clock: the longest time that it could not come to its turn."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        """Come to turn as often as the loop lets it."""
        last = time.perf_counter()
        while True:
            await anyio.lowlevel.checkpoint()
            now = time.perf_counter()
            self.longest_s = max(self.longest_s, now - last)
            last = now


async def test_a_crowd_of_costly_checks_stalls_the_loop_for_no_more_than_a_few_of_them() -> None:
    """24 at once: the loop comes to its turn between them. All of them on the loop are the yardstick."""
    assert _check().passed
    start = time.perf_counter()
    for _ in range(_STRANGERS):
        _check()
    on_the_loop_s = time.perf_counter() - start

    judging, ticks, judged = make_judging(), Ticks(), list[Evaluation]()

    async def ask() -> None:
        judged.append(await judging.run(_check, _COSTLY, len(_OUTPUT), 0))

    async with anyio.create_task_group() as ticking:
        ticking.start_soon(ticks.run)
        async with anyio.create_task_group() as asking:
            for _ in range(_STRANGERS):
                asking.start_soon(ask)
        ticking.cancel_scope.cancel()

    assert [one.passed for one in judged] == [True] * _STRANGERS
    assert ticks.longest_s < on_the_loop_s / 4


async def test_a_large_output_costs_less_than_reading_it_would() -> None:
    """4 MB of empty arrays, which take the better part of a second to parse, are refused by their length."""
    output = b"[" + b"[]," * 1_400_000 + b"[]]"
    start = time.perf_counter()
    parse(output)
    parsed = time.perf_counter()
    judged = await make_judging().run(partial(_POLICY.judge, _PLAIN, output, {}), _PLAIN, len(output), 0)
    told = time.perf_counter()

    assert (judged.passed, judged.remarks) == (
        False,
        ("the output has 4200004 bytes; an output has at most 65536",),
    )
    assert told - parsed < (parsed - start) / 10


async def test_what_is_cheap_is_checked_where_it_stands() -> None:
    """A turn of the loop and a change of threads would cost more than the check."""
    here = threading.get_ident()
    judging = make_judging()

    assert await judging.run(threading.get_ident, _PLAIN, 200, 0) == here
    assert await judging.run(threading.get_ident, _COSTLY, len(_OUTPUT), 0) != here


@pytest.mark.parametrize(
    ("schema", "size_bytes", "expected"),
    [
        (_PLAIN, 0, False),
        (_PLAIN, 40_000, False),
        (_PLAIN, 60_000, True),
        (_PLAIN, 4_000_000, False),
        (_COSTLY, 50, False),
        (_COSTLY, 60_000, True),
        (b'{"anyOf":[{"required":["a"]},{"required":["b"]}]}', 1_000, True),
        (b'{"pattern":"^[a-z]{7}never compiled before$"}', 0, True),
        (orjson.dumps({"description": "never compiled before " * 100}), 0, True),
        (b'{"type":"objekt"}', 60_000, False),
        (b'"' + b"x" * 70_000 + b'"', 60_000, False),
    ],
    ids=range(11),
)
def test_what_is_costly_is_told_before_it_is_done(schema: bytes, size_bytes: int, expected: bool) -> None:
    """By the units of the schema, or by its text where it was never compiled."""
    assert is_costly(schema, size_bytes) is expected


async def test_a_full_wait_is_told_as_saturated() -> None:
    """503: another time there is room."""
    judging, go_on, answers = make_judging(max_waiting=2), threading.Event(), list[bool]()

    async def ask() -> None:
        answers.append(await judging.run(lambda: go_on.wait(30), _COSTLY, len(_OUTPUT), 0))

    async with anyio.create_task_group() as asking:
        for _ in range(3):
            asking.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        waiting = judging.waiting
        with pytest.raises(SaturatedError) as refused:
            await judging.run(_check, _COSTLY, len(_OUTPUT), 0)
        go_on.set()

    assert (waiting, refused.value.status_code, answers) == (2, 503, [True] * 3)


async def test_what_waits_for_the_thread_holds_no_more_bytes_than_it_may() -> None:
    """One alone always fits; with those before it gone there is room again."""
    judging, go_on = make_judging(max_bytes=100), threading.Event()

    async def ask(size_bytes: int) -> None:
        await judging.beside(lambda: go_on.wait(30), size_bytes)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, 60)
        group.start_soon(ask, 40)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(SaturatedError, match="holds 100 bytes"):
            await ask(1)
        go_on.set()

    await ask(1_000)
