"""Functions by the kind of thing that each is for: at most one for each kind, and at most one for all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, Generic, Protocol, TypeVar

from executor_sdk.errors import DuplicateHandlerError


class ForKinds(Protocol):
    """A function of an author that is for some kinds of things; for none by name: for all others."""

    @property
    def name(self) -> str:
        """The function's name, for messages."""

    @property
    def kinds(self) -> Sequence[str]:
        """What it is for."""


T = TypeVar("T", bound=ForKinds)


class ByKind(Generic[T]):
    """What one executor has declared."""

    #: What the functions do to things, how a kind is called, and what is written above a function for one kind.
    VERB: ClassVar[str]
    VERBS: ClassVar[str]
    KIND: ClassVar[str]
    EXAMPLE: ClassVar[str]

    def __init__(self) -> None:
        #: As they were declared.
        self._declared: Final[list[T]] = []
        self._by_kind: Final[dict[str, T]] = {}
        self._rest: T | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    def find(self, kind: str) -> T | None:
        """The one for this kind, or else the one for all others."""
        return self._by_kind.get(kind, self._rest)

    def add(self, one: T) -> None:
        """Take `one` in.

        Raises:
            DuplicateHandlerError: another one is for the same; the message names both.
        """
        self.check(one)
        self._declared.append(one)
        self._by_kind.update(dict.fromkeys(one.kinds, one))
        if not one.kinds:
            self._rest = one

    def check(self, one: T) -> None:
        """Whether `one` can be taken in. Raises as `add` does."""
        for kind in one.kinds:
            if (taken := self._by_kind.get(kind)) is not None:
                raise DuplicateHandlerError(
                    f"{taken.name} and {one.name} both want to {self.VERB} {self.KIND} {kind!r}; let one of them call "
                    "the other"
                )
        if not one.kinds and self._rest is not None:
            raise DuplicateHandlerError(
                f"{self._rest.name} {self.VERBS} already all that no other {self.VERBS}; name the {self.KIND}s of one "
                f"of the two, as {self.EXAMPLE} above {one.name}"
            )
