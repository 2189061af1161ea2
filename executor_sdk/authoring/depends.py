"""The mark on a parameter that is made for the call instead of coming from the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from executor_sdk.errors import HandlerSignatureError

Make: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Depends:
    """Marks a parameter as made by `make`: `sales: Annotated[Sales, Depends(open_sales)]`.

    `make` is a plain or asynchronous function, a class, or a generator that yields once and cleans up after its
    yield. Its own parameters are the Task, states of the process and further dependencies; a caller can never set
    them. What it makes is made once per call, and shared by everyone in that call who asks for the same `make`.
    """

    make: Make

    def __post_init__(self) -> None:
        if not callable(self.make):
            raise HandlerSignatureError(f"Depends({self.make!r}) holds no function; write Depends(make_it)")
