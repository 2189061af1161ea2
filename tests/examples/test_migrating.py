"""Both services answer alike where the first is right, and the second is right where the first is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx2
import pytest

from examples.migrating import after, before
from executor_sdk.client.asks import Asked, execute_body, verify_body
from executor_sdk.protocol.plain import Json
from executor_sdk.testing.server import serve

pytestmark = pytest.mark.anyio

PARCEL: dict[str, Json] = {"order": "A-1", "kg": 3}


@dataclass(frozen=True)
class Both:
    """Both services on loopback, each with the bookings that it made."""

    urls: dict[str, str]
    folder: Path

    async def post(self, path: str, body: Json) -> dict[str, httpx2.Response]:
        """What each answers to one and the same request."""
        async with httpx2.AsyncClient(trust_env=False) as http:
            return {name: await http.post(url + path, json=body) for name, url in self.urls.items()}

    def bookings(self, name: str) -> list[str]:
        """Order and courier of each line that it wrote."""
        return [" ".join(line.split()[:2]) for line in (self.folder / name).read_text().splitlines()]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    """Served as they are."""
    monkeypatch.setattr(before, "BOOKINGS", tmp_path / "before")
    monkeypatch.setattr(after, "BOOKINGS", tmp_path / "after")
    with serve(before.app) as hand_written, serve(after.executor) as with_the_kit:
        yield Both({"before": hand_written.url, "after": with_the_kit.url}, tmp_path)


def asked(inputs: dict[str, Json] = PARCEL) -> dict[str, Json]:
    """The body of `/execute`."""
    return execute_body(inputs, task_type="book")


async def test_the_same_request_is_answered_alike(both: Both) -> None:
    """Byte order and spaces aside: the output, its evidence, and the verdict with its hash."""
    body = asked()
    executed = await both.post("/execute", body)
    judged = await both.post("/verify", verify_body(Asked(body, executed["before"].json())))

    assert executed["after"].json() == executed["before"].json()
    assert judged["after"].json() == judged["before"].json()
    assert both.bookings("after") == both.bookings("before") == ["A-1 bicycle"]


async def test_both_say_the_same_of_themselves(both: Both) -> None:
    """The kit says more, in fields of its own."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        told = {name: (await http.get(f"{url}/capabilities")).json() for name, url in both.urls.items()}

    assert {**told["after"], **told["before"]} == told["after"]


async def test_five_copies_are_five_bookings_before_and_one_after(both: Both) -> None:
    """A kernel sends the same bytes again where it has heard no answer."""
    body = asked()
    answers = [await both.post("/execute", body) for _ in range(5)]

    assert len({answer["after"].content for answer in answers}) == 1
    assert len(both.bookings("before")) == 5
    assert len(both.bookings("after")) == 1


async def test_a_fifth_parcel_is_lost_before_and_waits_after(both: Both) -> None:
    """To a kernel a 429 is as final as any 4xx. Bookings go into a pipe here, so all wait until somebody reads it."""
    statuses: dict[str, list[int]] = {name: [] for name in both.urls}
    for name in both.urls:
        os.mkfifo(both.folder / name)

    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http, anyio.create_task_group() as group:

        async def send(name: str) -> None:
            answer = await http.post(f"{both.urls[name]}/execute", json=asked())
            statuses[name].append(answer.status_code)

        for name in both.urls:
            for _ in range(4):
                group.start_soon(send, name)
        with anyio.fail_after(20):
            while not before.slots.locked():
                await anyio.sleep(0.01)
            while (await http.get(f"{both.urls['after']}/health")).json()["running"] < 4:
                await anyio.sleep(0.01)
        await send("before")
        group.start_soon(send, "after")
        # Opened both ways, a pipe has a reader from now on.
        ends = [os.open(both.folder / name, os.O_RDWR) for name in both.urls]

    assert statuses == {"before": [429, 200, 200, 200, 200], "after": [200] * 5}
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [({"order": "A-1"}, "inputs.kg"), ({**PARCEL, "kg": "heavy"}, "inputs.kg"), ({**PARCEL, "kg": 31}, "TOO_HEAVY")],
)
async def test_what_can_never_succeed_is_tried_again_before_and_final_after(
    inputs: dict[str, Json], says: str, both: Both
) -> None:
    """And the answer says what is wrong."""
    answers = await both.post("/execute", asked(inputs))

    assert (answers["before"].status_code, answers["after"].status_code) == (500, 422)
    assert says in answers["after"].text


async def test_an_output_that_breaks_the_schema_passes_before_and_fails_after(both: Both) -> None:
    """The kernel says with each candidate what it must look like."""
    body = asked()
    executed = (await both.post("/execute", body))["before"].json()
    judged = await both.post("/verify", verify_body(Asked(body, executed), output={"answer": 5}))

    assert {name: answer.json()["passed"] for name, answer in judged.items()} == {"before": True, "after": False}
