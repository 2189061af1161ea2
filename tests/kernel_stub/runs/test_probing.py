"""What a worker remembers of executors for a moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from kernel_stub.runs.probing import MAX_KEYS, Remembered

pytestmark = pytest.mark.anyio


def asking(answers: list[str], asked: list[str]) -> Callable[[], Awaitable[str]]:
    """A question that gets these answers one after another; `no` is a failure."""

    async def ask() -> str:
        await anyio.lowlevel.checkpoint()
        asked.append(answer := answers[len(asked)])
        if answer == "no":
            raise ConnectionError(answer)
        return answer

    return ask


async def test_a_failure_is_told_to_all_who_waited_and_then_forgotten() -> None:
    """Eight steps of a silent executor wait for one time limit, not for eight; the next one asks anew."""
    remembered, asked, told = Remembered[str](1_000, lambda: 5), list[str](), list[str]()
    ask = asking(["no", "yes"], asked)

    async def step() -> None:
        try:
            await remembered.get("rt", ask)
        except ConnectionError as error:
            told.append(str(error))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(step)

    assert (asked, told) == (["no"], ["no"] * 8)
    assert await remembered.get("rt", ask) == "yes"


@pytest.mark.parametrize(("later_ms", "answer"), [(999, "a"), (1_000, "b"), (-1, "b"), (-3_600_000, "b")])
async def test_an_answer_stands_for_its_time_and_no_longer(later_ms: int, answer: str) -> None:
    """A clock that was set back by an hour does not make it stand for an hour."""
    now_ms = 10_000_000
    remembered = Remembered[str](1_000, lambda: now_ms)
    ask = asking(["a", "b"], [])
    await remembered.get("rt", ask)
    now_ms += later_ms

    assert await remembered.get("rt", ask) == answer


async def test_what_is_remembered_is_bounded() -> None:
    """A specification may name executors without an end; the one that was remembered longest is asked again."""
    remembered = Remembered[str](1_000, lambda: 5)
    asked: list[str] = []

    def ask(key: str) -> Callable[[], Awaitable[str]]:
        async def answer() -> str:
            await anyio.lowlevel.checkpoint()
            asked.append(key)
            return key

        return answer

    for n in (*range(MAX_KEYS + 1), MAX_KEYS, 0):
        await remembered.get(str(n), ask(str(n)))

    assert len(remembered._known) == MAX_KEYS
    assert asked[-2:] == [str(MAX_KEYS), "0"]
