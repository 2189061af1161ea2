"""The verifiers of one executor, each for its task types, and which of them judges a candidate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from executor_sdk.authoring.verdict import Verdict
from executor_sdk.authoring.verifier import Verifier
from executor_sdk.errors import DuplicateHandlerError
from executor_sdk.protocol.reason_codes import ReasonCode


class Verifiers:
    """At most one verifier for each task type, and at most one for all that no other verifies."""

    def __init__(self) -> None:
        #: As they were declared.
        self._declared: Final[list[Verifier]] = []
        self._by_task_type: Final[dict[str, Verifier]] = {}
        self._rest: Verifier | None = None

    def __iter__(self) -> Iterator[Verifier]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    @property
    def only(self) -> Verifier | None:
        """The one that judges whatever comes, where no other is declared."""
        return None if self._by_task_type else self._rest

    @property
    def own_codes(self) -> dict[int, str]:
        """The author's own reason codes of all of them, by number."""
        return {code: name for verifier in self._declared for code, name in verifier.own_codes.items()}

    def add(self, verifier: Verifier) -> None:
        """Take `verifier` in.

        Raises:
            DuplicateHandlerError: another one verifies the same, or means something else by the same reason code.
        """
        self.check(verifier)
        self._declared.append(verifier)
        self._by_task_type.update(dict.fromkeys(verifier.task_types, verifier))
        if not verifier.task_types:
            self._rest = verifier

    def check(self, verifier: Verifier) -> None:
        """Whether `verifier` can be taken in. Raises as `add` does."""
        for task_type in verifier.task_types:
            if (taken := self._by_task_type.get(task_type)) is not None:
                raise DuplicateHandlerError(
                    f"{taken.name} and {verifier.name} both want to verify task type {task_type!r}; let one of them "
                    "call the other"
                )
        if not verifier.task_types and self._rest is not None:
            raise DuplicateHandlerError(
                f"{self._rest.name} verifies already all that no other verifies; name the task types of one of the "
                f"two, as @executor.verify('forecast') above {verifier.name}"
            )
        for other in self._declared:
            for code in other.own_codes.keys() & verifier.own_codes.keys():
                if other.own_codes[code] != verifier.own_codes[code]:
                    raise DuplicateHandlerError(
                        f"the reason code {code} is {other.own_codes[code]} in {other.name} and "
                        f"{verifier.own_codes[code]} in {verifier.name}; give one of them another number"
                    )

    def choose(self, task_type: str | None, output_text: bytes) -> Verifier | Verdict | None:
        """Who judges an output of `task_type`: a verifier; nobody, so that the policy's verdict stands; or, where that
        cannot be told, an inconclusive verdict that says why.

        `/verify` does not name the task type. Where nobody knows it, the one verifier judges whose model takes the
        output; one that names no model takes anything, and is asked only where no model fits.
        """
        if task_type is not None:
            return self._by_task_type.get(task_type, self._rest)
        # A function that stands under two decorators is one verifier here.
        known = {id(one.function): one for one in self._declared}.values()
        fitting = [one for one in known if one.names_model and one.takes(output_text)]
        fitting = fitting or [one for one in known if not one.names_model]
        if len(fitting) == 1:
            return fitting[0]
        if not fitting and self._rest is not None:
            # Whichever of them it is for, the output is none of its model.
            return self._rest
        return _unclear(fitting or list(known), "fits several" if fitting else "fits none")


def _unclear(verifiers: list[Verifier], fits: str) -> Verdict:
    """Inconclusive by 200: what would tell, the record of the execution, is out of reach."""
    names = ", ".join(f"{one.name} ({', '.join(one.task_types) or 'all others'})" for one in verifiers)
    return Verdict.inconclusive(
        ReasonCode.EVIDENCE_UNREACHABLE,
        f"the task type of this candidate is not known here, because its execution is not on record, and its output "
        f"{fits} of the verifiers: {names}; verify where it was executed, with the same ledger",
    )
