"""The verifiers of one executor, each for its task types, and which of them judges a candidate."""

from __future__ import annotations

from executor_sdk.authoring.by_kind import ByKind
from executor_sdk.authoring.verdict import Verdict
from executor_sdk.authoring.verifier import Verifier
from executor_sdk.errors import DuplicateHandlerError
from executor_sdk.protocol.reason_codes import ReasonCode


class Verifiers(ByKind[Verifier]):
    """At most one verifier for each task type, and at most one for all that no other verifies."""

    VERB = "verify"
    VERBS = "verifies"
    KIND = "task type"
    EXAMPLE = "@executor.verify('forecast')"

    @property
    def only(self) -> Verifier | None:
        """The one that judges whatever comes, where no other is declared."""
        return None if self._by_kind else self._rest

    @property
    def own_codes(self) -> dict[int, str]:
        """The author's own reason codes of all of them, by number."""
        return {code: name for verifier in self for code, name in verifier.own_codes.items()}

    def check(self, one: Verifier) -> None:
        """Whether `one` can be taken in.

        Raises:
            DuplicateHandlerError: another one verifies the same, or means something else by the same reason code.
        """
        super().check(one)
        for other in self:
            for code in other.own_codes.keys() & one.own_codes.keys():
                if other.own_codes[code] != one.own_codes[code]:
                    raise DuplicateHandlerError(
                        f"the reason code {code} is {other.own_codes[code]} in {other.name} and "
                        f"{one.own_codes[code]} in {one.name}; give one of them another number"
                    )

    def choose(self, task_type: str | None, output_text: bytes) -> Verifier | Verdict | None:
        """Who judges an output of `task_type`: a verifier; nobody, so that the policy's verdict stands; or, where that
        cannot be told, an inconclusive verdict that says why.

        `/verify` does not name the task type. Where nobody knows it, the one verifier judges whose model takes the
        output; one that names no model takes anything, and is asked only where no model fits.
        """
        if task_type is not None:
            return self.find(task_type)
        # A function that stands under two decorators is one verifier here.
        known = {id(one.function): one for one in self}.values()
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
    names = ", ".join(f"{one.name} ({', '.join(one.kinds) or 'all others'})" for one in verifiers)
    return Verdict.inconclusive(
        ReasonCode.EVIDENCE_UNREACHABLE,
        f"the task type of this candidate is not known here, because its execution is not on record, and its output "
        f"{fits} of the verifiers: {names}; verify where it was executed, with the same ledger",
    )
