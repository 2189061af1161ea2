"""The executor of `before.py` with the kit: the same answers on the wire, and none of its faults.

Run `executor serve examples.migrating.after:executor`.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from executor_sdk import Executor, Refuse, Task

BOOKINGS = Path(os.environ.get("BOOKINGS", "bookings.txt"))

executor = Executor(provider_family="acme", model_id="couriers-1", max_concurrency=4)


class Parcel(BaseModel):
    order: str
    kg: float


class Booking(BaseModel):
    decision: Literal["BOOKED"]
    answer: str


@executor.execute("book")
def book(parcel: Parcel, task: Task) -> Booking:
    if parcel.kg > 30:
        raise Refuse("TOO_HEAVY", "no courier takes more than 30 kg")
    courier = "bicycle" if parcel.kg <= 5 else "van"
    with BOOKINGS.open("a", encoding="utf-8") as bookings:
        # The same key in all attempts: by it, a second line after a crash is known as the same booking.
        bookings.write(f"{parcel.order} {courier} {task.step_key}\n")
    task.evidence(f"{courier} takes it")
    return Booking(decision="BOOKED", answer=courier)
