"""Two real executors on loopback are asked at once, once for all copies, and their refusals keep their meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from examples.gateway.app import executor
from executor_sdk import Executor, ExecutorClient, Refuse, TryLater, in_process
from executor_sdk.client.asks import execute_body
from executor_sdk.testing.server import serve
from tests.examples.behind_kernel import decided

ORDER = {"article": "chair", "pieces": 4, "budget_cents": 20_000}


class TwoPeers:
    """Executors that know prices and stock, count their work, and raise what a test says."""

    def __init__(self) -> None:
        self.effects = Counter[str]()
        self.raises: dict[str, Exception] = {}

    def executor(self, task_type: str, known: dict[str, int]) -> Executor:
        """One of the two."""
        made = Executor("tests", f"{task_type}-1")

        @made.execute(task_type)
        def answer(inputs: dict[str, Any]) -> dict[str, int | str]:
            self.effects[f"{task_type} of {inputs['article']}"] += 1
            if task_type in self.raises:
                raise self.raises[task_type]
            return {**known, "answer": str(known)}

        return made


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoPeers]:
    """Where the gateway looks for them."""
    two = TwoPeers()
    with (
        serve(two.executor("price", {"cents": 4_500})) as prices,
        serve(two.executor("stock", {"pieces": 6})) as stock,
    ):
        monkeypatch.setenv("PRICES_URL", prices.url)
        monkeypatch.setenv("STOCK_URL", stock.url)
        yield two


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, ("BUY", "18000 cents, 6 in stock")),
        ({"pieces": 5}, ("WAIT", "22500 cents, 6 in stock")),
        ({"pieces": 7, "budget_cents": 90_000}, ("WAIT", "31500 cents, 6 in stock")),
    ],
)
def test_both_answers_are_merged(changed: dict[str, int], expected: tuple[str, str], peers: TwoPeers) -> None:
    """Price and stock must both do."""
    with in_process(executor) as rt:
        advice = rt.execute({**ORDER, **changed}).output

    assert (advice.decision, advice.answer) == expected
    assert peers.effects == {"price of chair": 1, "stock of chair": 1}


def test_what_a_peer_refuses_is_refused_for_good(peers: TwoPeers) -> None:
    """With the peer's own code, and without its address."""
    peers.raises["price"] = Refuse("NO_SUCH_ARTICLE", "nobody sells it")
    with in_process(executor) as rt, pytest.raises(Refuse, match="nobody sells it") as told:
        rt.execute(ORDER)

    assert told.value.code == "NO_SUCH_ARTICLE"
    assert "127.0.0.1" not in told.value.message


def test_what_a_peer_puts_off_is_put_off(peers: TwoPeers) -> None:
    """For as long as the peer says."""
    peers.raises["stock"] = TryLater("the stock is being counted", after_s=7)
    with in_process(executor) as rt, pytest.raises(TryLater, match="being counted") as told:
        rt.execute(ORDER)

    assert told.value.after_s == 7


@pytest.mark.anyio
async def test_copies_are_one_work_here_and_there(peers: TwoPeers) -> None:
    """Also for a gateway that forgot what it did, as after a restart."""
    body, answers = execute_body(ORDER, task_type="swarm"), []
    for _ in range(2):
        with serve(executor) as served:
            async with ExecutorClient(served.url) as client, anyio.create_task_group() as group:

                async def ask(client: ExecutorClient = client) -> None:
                    answers.append((await client.send("POST", "/execute", body)).body)

                for _ in range(5):
                    group.start_soon(ask)

    assert len(answers) == 10
    assert len(set(answers)) == 1
    assert peers.effects == {"price of chair": 1, "stock of chair": 1}


@pytest.mark.anyio
async def test_three_agents_decide_behind_a_kernel(tmp_path: Path, peers: TwoPeers) -> None:
    """Each agent's step is a work of its own, also at the peers."""
    aggregation = await decided(executor, ORDER, state_dir=tmp_path)

    assert aggregation["decision_votes"] == {"BUY": 3}
    assert peers.effects == {"price of chair": 3, "stock of chair": 3}
