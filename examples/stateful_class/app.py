"""Keeps the state of the process in a class: `setup` opens it, methods use it, `health` looks at it, `close` ends it.

Run `executor serve examples.stateful_class.app:executor`.
"""

import sqlite3
from enum import IntEnum
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, NonNegativeInt, PositiveFloat

from executor_sdk import Candidate, Executor, Verdict, execute, verify

executor = Executor(provider_family="acme", model_id="parcels-1")
Decision: TypeAlias = Literal["SEND", "TOO_DEAR", "TOO_HEAVY"]


class Parcel(BaseModel):
    zone: Literal["HOME", "ABROAD"]
    kg: PositiveFloat
    budget_cents: NonNegativeInt


class Quote(BaseModel):
    decision: Decision
    answer: str
    parcel: Parcel


class Why(IntEnum):
    TARIFF_DIFFERS = 1001


@executor.include
class Post:
    async def setup(self) -> None:
        self.tariff = sqlite3.connect(":memory:")  # small and in memory: no look-up holds up the event loop
        self.tariff.executescript(Path(__file__).with_name("tariff.sql").read_text(encoding="utf-8"))

    async def close(self) -> None:
        self.tariff.close()

    async def health(self) -> None:
        self.tariff.execute("SELECT cents FROM tariff")  # unhealthy is what raises

    @execute("swarm")
    async def quote(self, parcel: Parcel) -> Quote:
        query = "SELECT cents FROM tariff WHERE zone = ? AND up_to_kg >= ? ORDER BY up_to_kg"
        row = self.tariff.execute(query, (parcel.zone, parcel.kg)).fetchone()
        if row is None:
            return Quote(decision="TOO_HEAVY", answer="no tariff", parcel=parcel)
        decision: Decision = "SEND" if row[0] <= parcel.budget_cents else "TOO_DEAR"
        return Quote(decision=decision, answer=f"{row[0]} cents", parcel=parcel)

    @verify
    async def tariff_agrees(self, candidate: Candidate[Quote]) -> Verdict:
        expected = await self.quote(candidate.output.parcel)
        return Verdict.passed() if candidate.output == expected else Verdict.failed(Why.TARIFF_DIFFERS, expected.answer)
