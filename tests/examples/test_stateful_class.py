"""One instance of the class lives as long as the executor, and its methods answer from what it has opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from examples.stateful_class.app import Post, executor
from executor_sdk import in_process
from tests.examples.behind_kernel import decided

PARCEL = {"zone": "ABROAD", "kg": 2.5, "budget_cents": 2000}


class WatchedPost(Post):
    """Tells of its life."""

    instances: list[Post]

    async def setup(self) -> None:
        """Open as ever."""
        self.instances.append(self)
        await super().setup()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("TOO_DEAR", "2390 cents")),
        ({"kg": 2}, ("SEND", "1390 cents")),
        ({"zone": "HOME", "kg": 30}, ("SEND", "1690 cents")),
        ({"kg": 10.1}, ("TOO_HEAVY", "no tariff")),
    ],
)
def test_the_tariff_decides(changed: dict[str, object], expected: tuple[str, str]) -> None:
    """The lightest class that takes the parcel counts, and its limit belongs to it."""
    with in_process(executor) as rt:
        done = rt.execute({**PARCEL, **changed})

        assert (done.output.decision, done.output.answer) == expected
        assert rt.verify(done).status == "passed"


def test_another_price_fails_by_the_authors_code() -> None:
    """The verifier, a method as well, looks the parcel up again."""
    with in_process(executor) as rt:
        done = rt.execute(PARCEL)
        judged = rt.verify(done, output={**done.answer["candidate_output"], "answer": "1 cents"})

    assert (judged.status, judged.reason_codes, judged.message) == ("failed", [1001], "2390 cents")


def test_there_is_one_instance_and_it_is_closed_at_the_end() -> None:
    """However many tasks it does."""
    WatchedPost.instances = []
    with in_process(executor, overrides={Post: WatchedPost}) as rt:
        for kg in (1, 2, 3):
            rt.execute({**PARCEL, "kg": kg})

    (post,) = WatchedPost.instances
    with pytest.raises(sqlite3.ProgrammingError):
        post.tariff.execute("SELECT 1")


def test_without_its_tariff_it_is_unhealthy() -> None:
    """Health is asked of the instance that does the tasks."""
    WatchedPost.instances = []
    with in_process(executor, overrides={Post: WatchedPost}) as rt:
        assert rt.call(lambda: rt.client.send("GET", "/health")).status == 200

        async def lose() -> None:
            WatchedPost.instances[0].tariff.execute("DROP TABLE tariff")

        rt.call(lose)
        assert rt.call(lambda: rt.client.send("GET", "/health")).status == 503


@pytest.mark.anyio
async def test_three_agents_decide_behind_a_kernel(tmp_path: Path) -> None:
    """Each answer is verified against the tariff before it counts."""
    aggregation = await decided(executor, PARCEL, state_dir=tmp_path)

    assert aggregation["decision_votes"] == {"TOO_DEAR": 3}
    assert aggregation["final_decision"] == "TOO_DEAR"
